"""What a simulation can fail of beside wrong input."""

__all__ = ["ToolError"]


class ToolError(RuntimeError):
    """A tool is missing or failed; the message says in one line which, and how to get it."""
