"""Commands in Markdown: fenced blocks of a shell, and indented lines after a prompt."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

FENCE = re.compile(r"^ *```(?P<language>\w*)")
SHELLS = ("bash", "sh", "shell")
PROMPT = "$ "

SEPARATORS = {"|", "||", "&&", ";", "&"}
REDIRECTIONS = {"<", ">", ">>", "2>", "2>>"}


@dataclass(frozen=True)
class Command:
    """A command of a document, continuation lines joined; `line` is its first line, from 1 on."""

    document: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}: {self.text}"

    @property
    def parts(self) -> list[list[str]]:
        """The words of each program that it runs, without assignments and redirections."""
        lexer = shlex.shlex(self.text, posix=True, punctuation_chars=True)
        lexer.commenters = "#"
        parts: list[list[str]] = [[]]
        words = iter(lexer)
        for word in words:
            if word in SEPARATORS:
                parts.append([])
            elif word in REDIRECTIONS:
                next(words, None)
            elif parts[-1] or not re.match(r"^[A-Z_]+=", word):
                parts[-1].append(word)
        return [part for part in parts if part]


def commands_in(text: str, document: str = "text") -> list[Command]:
    """All commands of a document in Markdown.

    Every line of a block marked sh, bash or shell is a command, unless it is a comment. In a block
    marked console and in indented text, commands follow a prompt and the rest is output.
    """
    found, lines = [], iter(enumerate(text.splitlines(), 1))
    language = ""
    for number, line in lines:
        if fence := FENCE.match(line):
            language = "" if language else fence["language"] or "text"
            continue
        start = line.strip()
        prompted = start.startswith(PROMPT) and (
            language == "console" or (not language and line.startswith("    "))
        )
        if prompted or (language in SHELLS and start and not start.startswith("#")):
            found.append(Command(document, number, _joined(start.removeprefix(PROMPT), lines)))
    return found


def _joined(text: str, lines: Iterator[tuple[int, str]]) -> str:
    """A command with the lines that continue it: after a backslash, or inside quotation marks."""
    while True:
        if text.endswith("\\"):
            text = text.removesuffix("\\").rstrip() + " " + next(lines)[1].strip()
            continue
        try:
            shlex.split(text, comments=True)
        except ValueError:
            text += "\n" + next(lines)[1].removeprefix("    ")
            continue
        return text
