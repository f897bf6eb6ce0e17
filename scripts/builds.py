"""Command-line options that specify a build, and errors that name these options."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from golden.spec.formats import Log2
from golden.spec.modes import Mode, mode
from hw.buildspec import BuildSpec, stated_bits
from scripts import options

_OPTIONS: dict[str, Any] = {
    "modes": options.Modes,
    "mode": options.OneMode,
    "rows": options.Rows,
    "cols": options.Cols,
    "exponent_bits": options.ExponentBits,
    "k_max": options.KMax,
    "no_dsp": options.NoDsp,
    "bus": options.Bus,
    "results": options.Results,
    "x_words": options.XWords,
    "w_words": options.WWords,
    "panels": options.Panels,
}
"""Types of a command's parameters, by name."""

CORE = (
    "modes",
    "rows",
    "cols",
    "exponent_bits",
    "k_max",
    "no_dsp",
    "bus",
    "results",
    "x_words",
    "w_words",
)
"""Options of commands that generate or map any unit."""

_NAMES = (
    "board",
    "mode",
    "rows",
    "cols",
    "k_max",
    "bus",
    "results",
    "x_words",
    "w_words",
    "panels",
)
_STATED = re.compile(rf"^({'|'.join(_NAMES)}|exponent bits|no-dsp): ")
"""How the messages of `Config`, `mode` and `platform_of` begin."""


def with_build(
    *names: str, **defaults: Any
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace the parameter `build` of a command, a BuildSpec, by options that specify the build.

    `names` lists these options in the order of the help text: `mode` for a build of one mode,
    `modes` for several. `defaults` override the defaults of BuildSpec.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def run(**given: Any) -> None:
            stated = {name: given.pop(name) for name in names}
            command(build=stated_build(**stated), **given)

        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command).parameters.values():
            if parameter.name != "build":
                parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
                continue
            parameters += [
                inspect.Parameter(
                    name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=defaults.get(name, _default(name)),
                    annotation=_OPTIONS[name],
                )
                for name in names
            ]
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return run

    return decorate


def _default(name: str) -> Any:
    """The default of an option: that of the BuildSpec field, except for those in `special`."""
    special = {"modes": ["w8a8"], "mode": "w8a8", "exponent_bits": None, "no_dsp": False}
    return special[name] if name in special else getattr(BuildSpec, name)


def stated_build(
    modes: Iterable[str] = (),
    mode: str | None = None,
    exponent_bits: int | None = None,
    no_dsp: bool = False,
    x_words: int | None = None,
    w_words: int | None = None,
    **sizes: int,
) -> BuildSpec:
    """The build that the options specify; raises ValueError that names the wrong option.

    For `x_words` and `w_words`, both 0 and None select the default buffer size.
    """
    names = [*modes] if mode is None else [mode]
    with named_options():
        return BuildSpec.of(
            names,
            exponent_bits,
            dsp=not no_dsp,
            x_words=x_words or None,
            w_words=w_words or None,
            **sizes,
        )


def stated_mode(name: str, exponent_bits: int | None) -> Mode:
    """The mode that --mode and --exponent-bits specify; raises ValueError that names the option."""
    with named_options():
        (known,), bits = stated_bits([name], exponent_bits)
        return mode(known, bits)


def core_build(chosen: Mode | None, rows: int, cols: int, bus: int) -> BuildSpec:
    """The build of a core for one mode.

    None means the float model, which uses no core; the function then returns the w8a8 build.
    """
    fmt = None if chosen is None else chosen.w_format
    return stated_build(
        mode="w8a8" if chosen is None else chosen.name,
        exponent_bits=fmt.exponent_bits if isinstance(fmt, Log2) else None,
        rows=rows,
        cols=cols,
        bus=bus,
    )


@contextmanager
def named_options(**names: str) -> Iterator[None]:
    """Context in which errors of `Config`, `mode` and `platform_of` name the command-line option.

    `names` maps a parameter to its option if that is not the parameter's name after two dashes.
    """
    try:
        yield
    except ValueError as error:
        match = _STATED.match(str(error))
        if match is None:
            raise
        parameter = re.sub("[ _]", "-", match[1])
        option = names.get(match[1], f"--{parameter}")
        raise ValueError(f"{option}: {str(error)[match.end() :]}") from None
