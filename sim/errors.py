"""What a simulation can fail of beside wrong input."""


class ToolError(RuntimeError):
    """A tool is missing or failed; the message says in one line which, and how to get it."""
