"""Error of the simulation tools."""

__all__ = ["ToolError"]


class ToolError(RuntimeError):
    """A tool is missing or failed; the one-line message names it and the remedy."""
