"""What `tilebert verilog` writes, by file name."""

import json
from pathlib import Path

from scripts.cli import run as tilebert


def written(
    folder: Path, *options: str, names: tuple[str, ...] = ("w8a8",)
) -> tuple[dict, dict[str, str]]:
    """The manifest, and all files by name."""
    modes = [part for name in names for part in ("--mode", name)]
    before = set(folder.iterdir()) if folder.exists() else set()
    assert tilebert(["verilog", *modes, *options, "-o", str(folder)]) == 0
    new = {path.name: path.read_text() for path in set(folder.iterdir()) - before}
    (manifest,) = (json.loads(text) for name, text in new.items() if name.endswith(".json"))
    return manifest, new
