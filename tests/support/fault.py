"""Planted faults: a module of the hardware with one passage of its source replaced."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, ModuleType

import pytest


@contextmanager
def planted(module: ModuleType, right: str, wrong: str) -> Iterator[None]:
    """Context in which the functions of `module` are those of its source with a fault.

    `right` occurs once in the source and is replaced by `wrong`. Classes and functions keep their
    identity, so whoever has imported them meets the fault. Raises ValueError otherwise.
    """
    assert module.__file__ is not None
    source = Path(module.__file__).read_text()
    if source.count(right) != 1:
        raise ValueError(f"{module.__name__}: expected once, got {source.count(right)}: {right}")
    faulty = ModuleType(module.__name__)
    code = compile(source.replace(right, wrong), module.__file__, "exec", dont_inherit=True)
    # Decorators may look their module up by its name.
    sys.modules[module.__name__] = faulty
    try:
        exec(code, faulty.__dict__)
    finally:
        sys.modules[module.__name__] = module
    with pytest.MonkeyPatch.context() as patch:
        for name, value in vars(faulty).items():
            here = vars(module).get(name)
            if getattr(value, "__module__", None) != module.__name__:
                continue
            if isinstance(value, FunctionType) and isinstance(here, FunctionType):
                patch.setattr(here, "__code__", value.__code__)
            elif isinstance(value, type) and isinstance(here, type):
                _replace_methods(patch, here, value)
        yield


def _replace_methods(patch: pytest.MonkeyPatch, here: type, faulty: type) -> None:
    for name, value in vars(faulty).items():
        function = getattr(value, "__func__", getattr(value, "fget", value))
        own = vars(here).get(name)
        own = getattr(own, "__func__", getattr(own, "fget", own))
        if isinstance(function, FunctionType) and isinstance(own, FunctionType):
            patch.setattr(own, "__code__", function.__code__)
