"""tilebert: an FPGA accelerator for the matrix products of a quantized BERT.

`from tilebert import Config, Core, gemm` imports the public API, which `tilebert.api` lists. It is
loaded at the first use of one of its names, so that the command line starts without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"
"""The distribution's version; pyproject.toml reads it here."""

if TYPE_CHECKING:
    from tilebert.api import *  # noqa: F403
    from tilebert.api import __all__ as __all__
else:

    def __getattr__(name: str) -> Any:
        """A name of the public API, or its list `__all__`; raises AttributeError for any other."""
        if name == "__all__" or not name.startswith("_"):
            api = import_module("tilebert.api")
            if name == "__all__" or name in api.__all__:
                return getattr(api, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        """The public names, for completion in a shell."""
        return ["__version__", *import_module("tilebert.api").__all__]
