"""The documents: links lead somewhere, files that they name exist, lines are short."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[1]

FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *#*$", re.MULTILINE)
NAMED = re.compile(r"`((?:docs|golden|hw|scripts|sim|tests|train)/[\w./-]+)`")
"""A file of the repository, named as code."""

PAGES = ("*.md", "docs/**/*.md", "checkpoints/*.md", "examples/**/*.md", ".github/**/*.md")
WIDTH = 100


def documents() -> list[Path]:
    """Every Markdown file of the repository."""
    return sorted(path for pattern in PAGES for path in ROOT.glob(pattern))


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    plain = (re.sub(r"[^\w\- ]", "", title.lower()) for title in HEADING.findall(prose(text)))
    return {title.replace(" ", "-") for title in plain}


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", text)


def broken(page: Path) -> list[str]:
    """The relative links and image paths of a page that lead nowhere."""
    found = []
    for link in LINK.findall(prose(page.read_text())):
        path, _, anchor = unquote(link).partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        target = page.parent / path if path else page
        if not target.exists() or (
            anchor and target.suffix == ".md" and anchor not in anchors(target.read_text())
        ):
            found.append(link)
    return found


def named(page: Path) -> bool:
    """Whether the files that a page names must exist; decisions and changes name past ones."""
    return "decisions" not in page.parts and page.name != "CHANGELOG.md"


@pytest.mark.parametrize("page", documents(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


@pytest.mark.parametrize("page", documents(), ids=lambda page: str(page.relative_to(ROOT)))
def test_lines_are_short(page: Path) -> None:
    lines = prose(page.read_text()).splitlines()
    assert [line for line in lines if len(line) > WIDTH and not line.lstrip().startswith("|")] == []


@pytest.mark.parametrize(
    "page", [*filter(named, documents())], ids=lambda page: str(page.relative_to(ROOT))
)
def test_named_files_exist(page: Path) -> None:
    names = NAMED.findall(prose(page.read_text()))
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_the_citation_names_the_newest_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text()
    versions = re.findall(r"^## \[([\d.]+)\] - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    version, date = versions[0]
    assert f"\nversion: {version}\n" in citation
    assert f"\ndate-released: {date}\n" in citation


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    (tmp_path / "other.md").write_text("# A `heading`, here\n")
    page.write_text(
        "# Here\n[a](other.md#a-heading-here) [b](other.md#none) ![c](none.png)\n"
        "[d](#here) [e](#there) [f](https://example.org/none)\n```\n[g](none.md)\n```\n"
    )
    assert broken(page) == ["other.md#none", "none.png", "#there"]
