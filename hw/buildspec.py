"""The identity of a build: its modes and sizes by name, with one text form for every record."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

from golden.spec.formats import Log2
from golden.spec.modes import K_MAX, MODE_NAMES, Mode, mode
from hw.config import Config

EXPONENT_BITS = 4
"""Default exponent bits of log2 codes."""

_LOG2_NAME = re.compile(r"wlog(\d+)-(a8|alog)")

_PARTS = {
    "k": "k_max",
    "bus": "bus",
    "results": "results",
    "x": "x_words",
    "w": "w_words",
    "panels": "panels",
}
"""Parameters that the text states only if they differ from the default, by their prefix."""


@dataclass(frozen=True, kw_only=True)
class BuildSpec:
    """The parameters of `hw.config.Config`, with modes by name: it prints, parses and hashes.

    `modes` are names of golden.spec.modes, each once. `exponent_bits` (3, 4 or 5) matters only in
    builds with a log2 mode; in others it is set to 4, so that equal builds compare equal. `x_words`
    and `w_words` are None for the default size of a buffer.

    The text form, as in `8x8/w8a8+wlog-a8-4/k1536/no-dsp`, has these parts with a / between them:

    - ROWSxCOLS;
    - the modes joined by +, or `all`, and after them -BITS in a build with a log2 mode;
    - kN: the largest K;
    - no-dsp: a build without DSP blocks;
    - busN, resultsN, xN, wN, panelsN: sizes of the core.

    All parts but the first two are left out if the parameter has its default.

    Raises ValueError, on construction, as `Config` and `mode` do.
    """

    modes: tuple[str, ...] = ("w8a8",)
    exponent_bits: int = EXPONENT_BITS
    rows: int = 8
    cols: int = 8
    k_max: int = K_MAX
    dsp: bool = True
    bus: int = 8
    results: int = 4
    x_words: int | None = None
    w_words: int | None = None
    panels: int = 16

    def __post_init__(self) -> None:
        Log2(self.exponent_bits)
        if not self.has_log2:
            object.__setattr__(self, "exponent_bits", EXPONENT_BITS)
        # A build that cannot exist is refused before anything runs.
        _ = self.config

    @classmethod
    def of(
        cls, names: Iterable[str], exponent_bits: int | None = None, **parameters: Any
    ) -> "BuildSpec":
        """A build with the modes `names`, repeated ones dropped.

        A name may contain exponent bits, as `stated_bits` reads them.
        """
        modes, bits = stated_bits(names, exponent_bits)
        return cls(modes=modes, exponent_bits=bits, **parameters)

    @classmethod
    def parse(cls, text: str) -> "BuildSpec":
        """The build whose text form is `text`; raises ValueError if there is none."""
        size, _, rest = text.partition("/")
        names, *parts = rest.split("/")
        match = re.fullmatch(r"(\d+)x(\d+)", size)
        if match is None or not names:
            raise ValueError(f"build: expected ROWSxCOLS/MODES, got {text!r}")
        stated = re.fullmatch(r"(.+)-(\d+)", names)
        modes = parse_modes(stated[1] if stated else names)
        values: dict[str, Any] = {"rows": int(match[1]), "cols": int(match[2])}
        for part in parts:
            found = re.fullmatch(r"([a-z]+)(\d+)", part)
            if part == "no-dsp":
                values["dsp"] = False
            elif found is not None and found[1] in _PARTS:
                values[_PARTS[found[1]]] = int(found[2])
            else:
                known = ", ".join((*(f"{name}N" for name in _PARTS), "no-dsp"))
                raise ValueError(f"build: expected parts among {known}, got {part!r}")
        return cls.of(modes, int(stated[2]) if stated else None, **values)

    def __str__(self) -> str:
        names = "all" if self.modes == MODE_NAMES else "+".join(self.modes)
        bits = f"-{self.exponent_bits}" if self.has_log2 else ""
        defaults = {field.name: field.default for field in fields(self)}
        values = {prefix: (name, getattr(self, name)) for prefix, name in _PARTS.items()}
        changed = [
            f"{prefix}{value}"
            for prefix, (name, value) in values.items()
            if value != defaults[name]
        ]
        # Records have k before no-dsp; the core's sizes follow.
        dsp = [] if self.dsp else ["no-dsp"]
        first = [part for part in changed if part.startswith("k")]
        return "/".join(
            [f"{self.rows}x{self.cols}", f"{names}{bits}", *first, *dsp, *changed[len(first) :]]
        )

    @property
    def has_log2(self) -> bool:
        """Whether a mode has log2 codes, so that `exponent_bits` matters."""
        return any(is_log2(name) for name in self.modes)

    @cached_property
    def config(self) -> Config:
        """The parameters of the hardware."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        bits = values.pop("exponent_bits")
        return Config(**values | {"modes": tuple(mode(name, bits) for name in self.modes)})

    @property
    def first_mode(self) -> Mode:
        """The first of its modes."""
        return self.config.modes[0]

    def including(self, *names: str) -> "BuildSpec":
        """This build with the modes `names` that it lacks added after its own."""
        return replace(self, modes=tuple(dict.fromkeys((*self.modes, *names))))


def is_log2(name: str) -> bool:
    """Whether a mode of that name has log2 codes."""
    return name.startswith("wlog")


def stated_bits(
    names: Iterable[str], exponent_bits: int | None = None
) -> tuple[tuple[str, ...], int]:
    """Modes as golden names them, each once, and the exponent bits of their log2 codes.

    `wlog3-a8` is wlog-a8 with 3 exponent bits. `exponent_bits` are the bits stated apart from the
    names, or None. Raises ValueError if two of the stated numbers of bits differ.
    """
    found: dict[str, None] = {}
    stated: dict[int, str] = {}
    for name in names:
        match = _LOG2_NAME.fullmatch(name)
        if match:
            stated.setdefault(int(match[1]), name)
        found.setdefault(f"wlog-{match[2]}" if match else name)
    if len(stated) > 1:
        raise ValueError(
            f"mode: expected log2 modes of equal exponent bits, got {' and '.join(stated.values())}"
        )
    for bits, name in stated.items():
        if exponent_bits not in (None, bits):
            raise ValueError(f"exponent bits: expected {bits} with {name}, got {exponent_bits}")
        exponent_bits = bits
    return tuple(found), EXPONENT_BITS if exponent_bits is None else exponent_bits


def parse_modes(text: str) -> tuple[str, ...]:
    """Names of modes joined by +, or `all`; raises ValueError as `mode` does."""
    names = MODE_NAMES if text == "all" else tuple(text.split("+"))
    known, bits = stated_bits(names)
    for name in known:
        mode(name, bits)
    return names
