"""Every command in README.md and the guide runs, at a smaller size where it would take too long.

A command that no table here knows fails the test. Commands of a document run in their order, in one
folder with the repository's data.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from os import environ, pathsep
from pathlib import Path

import numpy as np
import pytest
import typer

from scripts.cli import app
from tests.support.documents import ROOT, Command, commands_in

GUIDE = sorted((ROOT / "docs" / "guide").glob("*.md"))
DOCUMENTS = [path.relative_to(ROOT).as_posix() for path in (ROOT / "README.md", *GUIDE)]

SIMULATES = r"^tilebert (simulate|bench|gemm|(bert|eval)\b.* --backend rtl)\b"
MAPS = r"^tilebert (synth|verilog)\b"

SMALLER = (
    (r"--glue", r"--glue \S+", "--glue glue", "GLUE is not in the repository"),
    (r"^tilebert cache", r"^", "TILEBERT_CACHE=cache ", "the cache of the tests is kept"),
    (SIMULATES, r" --(rows|cols) \d+| --mode \S+| --simulator \S+", "", "one small simulator"),
    (SIMULATES, r"$", " --rows 4 --cols 4", "one small simulator"),
    (r"^tilebert simulate", r"$", " --text Hi", "fewer cycles"),
    (r"^tilebert bert.* --backend rtl", r'"[^"]*"', "Hi", "fewer cycles"),
    (r"^tilebert bench", r" --model \S+", " --model minilm", "fewer cycles"),
    (r"^tilebert bench", r" --tokens \d+", " --tokens 4", "fewer cycles"),
    (r"^tilebert eval.* --limit", r" --limit \d+", " --limit 2", "fewer cycles"),
    (r"^tilebert eval", r"$", " --workers 1", "a worker starts in a second"),
    (MAPS, r" --(rows|cols) \d+", "", "fewer cells"),
    (MAPS, r"$", " --rows 2 --cols 2", "fewer cells"),
    (r"^tilebert synth", r" --pnr| --seed \d+", "", "placement takes minutes"),
    (r"^tilebert synth", r" --unit core", " --unit w_decoder", "a core takes a minute"),
    (r"^tilebert sweep", r"( --modes \S+)+", " --modes w8a8", "fewer cells"),
    (r"^tilebert sweep", r" --size \S+", " --size 2x2", "fewer cells"),
    (r"^tilebert sweep", r" --bench \S+", "", "a layer of 128 tokens takes minutes"),
)
"""Where the first pattern is found, replace the second: patterns, replacement, reason."""

PARSED = (
    (r"^tilebert train\b", "needs PyTorch, and trains for minutes"),
    (r"^tilebert table\b(?!.*--show)", "trains for minutes"),
    (r"^tilebert formats\b", "quantizes and evaluates the model in every format"),
    (r"^tilebert build\b", "places and routes for minutes"),
)
"""Commands whose options are checked, and the reason why they do not run."""

FORMS = (
    r"git clone \S+",
    r"cd \S+",
    r"(\.|source) \.venv/bin/activate",
    r"(sudo )?apt-get install [\w+ -]+",
    r"(python -m )?pip install .+",
    r"(python -m )?pytest .+",
    r"pre-commit install",
)
"""Commands that change the machine or run the tests: their form is checked alone."""

PROGRAMS = {"cat", "cmp", "echo", "head", "ls", "mkdir", "python", "sha256sum", "tail", "test"}
"""Other programs that run."""

OPTIONAL = {"iverilog", "vvp"}
"""Programs that run where they are installed."""

PAIRS = "Yes.,Yes.,5.0\nYes.,No.,1.0\nOne.,Two.,2.0\nOne.,One.,4.8\n"


def commands_of(document: str) -> list[Command]:
    return commands_in((ROOT / document).read_text(encoding="utf-8"), document)


ALL = [command for document in DOCUMENTS for command in commands_of(document)]


def bare(text: str) -> str:
    """A command with its programs called by their names."""
    return re.sub(r"(?<!\S)\.venv/bin/(?!activate)", "", text)


def smaller(text: str) -> str:
    text = bare(text)
    for where, pattern, replacement, _ in SMALLER:
        if re.search(where, text):
            text = re.sub(pattern, replacement, text)
    return text


def runs(command: Command) -> bool:
    """Whether the command is run; raises AssertionError if a program of it is in no table."""
    decisions = []
    for words in Command(command.document, command.line, bare(command.text)).parts:
        text = " ".join(words)
        if words[0] == "tilebert":
            decisions.append(not any(re.search(pattern, text) for pattern, _ in PARSED))
        elif words[0] == "make" or any(re.fullmatch(form, text) for form in FORMS):
            decisions.append(False)
        elif words[0] in OPTIONAL:
            decisions.append(shutil.which(words[0]) is not None)
        else:
            assert words[0] in PROGRAMS, f"{command}: {words[0]} is in no table"
            decisions.append(True)
    return all(decisions)


def test_documents_have_commands() -> None:
    assert len(ALL) > 10


@pytest.mark.parametrize("command", ALL, ids=str)
def test_command_is_legal(command: Command) -> None:
    """Its programs are known; targets, extras, subcommands and options exist."""
    runs(command)
    for words in Command(command.document, command.line, bare(command.text)).parts:
        if words[0] == "make":
            subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True)
        elif "install" in words and "pip" in words:
            project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
            for extras in re.findall(r"\.\[([\w,]+)\]", " ".join(words)):
                assert set(extras.split(",")) <= project["optional-dependencies"].keys()
        elif words[0] == "tilebert" and not {"--help", "--version"} & set(words):
            group = typer.main.get_command(app)
            found = group.get_command(None, words[1])
            assert found is not None, f"{words[1]}: no such command"
            found.make_context(words[1], words[2:])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of the repository, four pairs of sentences, and operands under common names."""
    folder = tmp_path_factory.mktemp("documents")
    shutil.copytree(ROOT / "docs" / "data", folder / "docs" / "data")
    for name in ("checkpoints", "examples"):
        (folder / name).symlink_to(ROOT / name)
    for split in ("train", "dev"):
        path = folder / "glue" / "STS-B" / f"{split}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PAIRS)
    (folder / "build").mkdir()
    rng = np.random.default_rng(1)
    for place in (folder, folder / "build"):
        np.save(place / "x.npy", rng.integers(-7, 8, (20, 100), dtype=np.int8))
        np.save(place / "w.npy", rng.integers(-7, 8, (100, 30), dtype=np.int8))
    programs = folder / "bin"
    programs.mkdir()
    for name, words in (("tilebert", "-m tilebert"), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (programs / name).chmod(0o755)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("document", [name for name in DOCUMENTS if commands_of(name)])
def test_commands_run(document: str, folder: Path) -> None:
    environment = {
        **environ,
        "PATH": f"{folder / 'bin'}{pathsep}{environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    for command in commands_of(document):
        if runs(command):
            text = smaller(command.text)
            result = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", text],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            assert result.returncode == 0, f"{command}\n{text}\n{result.stdout}{result.stderr}"
