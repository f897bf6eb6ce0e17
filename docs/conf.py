"""The documentation site: `make docs` builds it into build/site. Every warning is an error.

The source folder is the repository, so links between README.md, docs/ and other Markdown files are
the same on a code host and in the site.
"""

import inspect
import re
import textwrap
from typing import Any

from amaranth.lib.wiring import Component
from sphinx.application import Sphinx
from sphinx.util.inspect import stringify_signature

from tilebert import __version__

project = "tilebert"
copyright = "the tilebert contributors"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
root_doc = "docs/index"
include_patterns = ["*.md", "checkpoints/*.md", "docs/**"]
exclude_patterns = [".*", "build", "*.egg-info", "docs/data/**"]

html_theme = "furo"
html_title = f"tilebert {version}"
html_show_copyright = False
html_copy_source = False

myst_heading_anchors = 4
default_role = "literal"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
add_module_names = False

LISTED = ("Attributes", "Errors", "Members", "Parameters", "Raises", "Returns")
"""Sections of docstrings that list names. Lines of other sections are shown as they are."""


def setup(app: Sphinx) -> None:
    """Docstrings are Markdown, but autodoc expects reStructuredText."""
    app.connect("autodoc-process-docstring", to_restructured_text)
    app.connect("autodoc-process-signature", constructor)


def constructor(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str, returns: str
) -> tuple[str, str | None] | None:
    """The parameters of an Amaranth component; autodoc would show those of `Component.__new__`."""
    if what != "class" or not issubclass(obj, Component):
        return None
    found = inspect.signature(obj.__init__)
    parameters = list(found.parameters.values())[1:]
    shown = found.replace(parameters=parameters, return_annotation=found.empty)
    return stringify_signature(shown, unqualified_typehints=True), None


def to_restructured_text(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Rewrite the lines of one docstring in place."""
    blocks = "\n".join(lines).strip().split("\n\n")
    lines[:] = [*"\n\n".join(map(block, blocks)).split("\n"), ""]


def block(text: str) -> str:
    """One paragraph, or a section: a line `Members:` and indented lines below it."""
    lines = text.split("\n")
    start = next((i for i, line in enumerate(lines) if line.startswith("  ")), len(lines))
    if (
        start == len(lines)
        or lines[0].startswith(("- ", "  "))
        or not lines[start - 1].endswith(":")
    ):
        return inline(text)
    title = lines[start - 1].removesuffix(":")
    body = textwrap.dedent("\n".join(lines[start:])).split("\n")
    before = [inline("\n".join(lines[: start - 1])), ""] if start > 1 else []
    if title.startswith(LISTED):
        items = [
            f"  {inline(line.strip())}" if line.startswith(" ") else f"- {entry(line)}"
            for line in body
        ]
        return "\n".join([*before, f"**{inline(title)}**", "", *items])
    return "\n".join([*before, f"{inline(title)}::", "", *(f"    {line}" for line in body)])


def entry(line: str) -> str:
    """`name: text` or `name  text`, with the name as code."""
    match = re.match(r"(?P<name>[^:`]*?\S)(?:: +|  +)(?P<text>.*)", line)
    return f"``{match['name']}``: {inline(match['text'])}" if match else inline(line)


def inline(text: str) -> str:
    """Code between backticks; everything else as it is."""
    parts = re.split(r"`+([^`]+)`+", text)
    escaped = [re.sub(r"([\\*|_])", r"\\\1", part) for part in parts[::2]]
    code = [rf"\ ``{part}``\ " for part in parts[1::2]]
    return "".join(a + b for a, b in zip(escaped, [*code, ""], strict=True))
