"""The cache: complete entries, detection of damage, and removal of orphans."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sim import cache
from sim.errors import ToolError
from tests.support.program import ROOT, environment


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of an empty cache."""
    monkeypatch.setenv("TILEBERT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def fill(folder: Path) -> None:
    (folder / "a").write_bytes(b"content of a")
    (folder / "b").write_bytes(b"")


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in folder.iterdir() if path.name != cache.MANIFEST
    }


WHOLE = {"a": b"content of a", "b": b""}


def test_an_entry_is_made_once(empty_cache: Path) -> None:
    assert cache.find("builds", "key") is None
    assert cache.entry("builds", "key", fill, "two files") == (empty_cache / "builds/key", True)
    assert cache.entry("builds", "key", fill) == (empty_cache / "builds/key", False)
    assert cache.find("builds", "key") == empty_cache / "builds/key"
    assert content(empty_cache / "builds/key") == WHOLE
    (found,) = cache.entries()
    assert (found.kind, found.what, found.path) == (
        "builds",
        "two files",
        empty_cache / "builds/key",
    )
    assert found.size == sum(path.stat().st_size for path in (empty_cache / "builds/key").iterdir())


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut": lambda folder: _cut(folder / "a"),
    "empty": lambda folder: os.truncate(folder / "a", 0),
    "a flipped bit": lambda folder: _flip(folder / "a"),
    "a missing file": lambda folder: (folder / "b").unlink(),
    "a folder in place of a file": lambda folder: ((folder / "b").unlink(), (folder / "b").mkdir()),
    "manifest cut": lambda folder: _cut(folder / cache.MANIFEST),
    "manifest empty": lambda folder: os.truncate(folder / cache.MANIFEST, 0),
    "manifest missing": lambda folder: (folder / cache.MANIFEST).unlink(),
    "manifest of something else": lambda folder: (folder / cache.MANIFEST).write_text("[1]"),
    "manifest of no sizes": lambda folder: (folder / cache.MANIFEST).write_text(
        '{"files": {"a": 3}}'
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_found_and_mended(
    case: str, empty_cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, _ = cache.entry("builds", "key", fill)
    DAMAGE[case](folder)
    assert cache.find("builds", "key") is None
    assert cache.entry("builds", "key", fill) == (folder, True)
    assert content(folder) == WHOLE
    assert capfd.readouterr().err == f"tilebert: {folder}: damaged, is made again\n"
    assert list((empty_cache / cache.SCRATCH).iterdir()) == []


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyboardInterrupt(), OSError("no errno"), FileNotFoundError("f")]
)
def test_what_fails_leaves_nothing(error: BaseException, empty_cache: Path) -> None:
    def fail(folder: Path) -> None:
        fill(folder)
        raise error

    with pytest.raises(type(error)):
        cache.entry("builds", "key", fail)
    assert [path for path in empty_cache.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES])
def test_a_full_or_read_only_disk_is_named(number: int, empty_cache: Path) -> None:
    def fail(folder: Path) -> None:
        raise OSError(number, os.strerror(number), str(folder / "a"))

    with pytest.raises(
        ToolError,
        match=f"cache: expected a folder to write, got .*{os.strerror(number)}.*TILEBERT_CACHE",
    ):
        cache.entry("builds", "key", fail)
    with pytest.raises(OSError, match="elsewhere") as caught:
        # An error outside the cache, for example of temporary files, passes unchanged.
        cache.entry("builds", "key", lambda folder: fail(Path("/elsewhere")))
    assert not isinstance(caught.value, ToolError)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "mkdir", lambda self, **how: fail(self))
        with pytest.raises(ToolError, match="cache: expected a folder to write"):
            cache.entry("builds", "key", fill)


def test_what_cannot_be_removed_is_said(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.entry("builds", "key", fill)

    def refuse(path: Path, **how: bool) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr("shutil.rmtree", refuse)
    with pytest.raises(ToolError, match=r"cache: expected a folder to write, got .*Read-only"):
        cache.clean(["builds"])


def test_a_file_in_place_of_the_cache(empty_cache: Path) -> None:
    empty_cache.write_text("")
    with pytest.raises(ToolError, match=f"cache: expected a folder to write, got {empty_cache}"):
        cache.entry("builds", "key", fill)
    assert cache.entries() == []


def test_several_make_the_same_at_once(empty_cache: Path) -> None:
    """All threads are inside `make` before the first finishes."""
    barrier = threading.Barrier(4)
    results: list[tuple[Path, bool]] = []

    def make(folder: Path) -> None:
        barrier.wait()
        fill(folder)

    threads = [
        threading.Thread(target=lambda: results.append(cache.entry("builds", "key", make)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [(empty_cache / "builds/key", True)] * 4
    assert content(empty_cache / "builds/key") == WHOLE
    assert [path.name for path in empty_cache.rglob("*")].count("a") == 1


def test_orphans_are_removed_and_what_is_being_made_is_not(empty_cache: Path) -> None:
    """A killed process leaves its scratch folder; the next use of the cache removes it."""
    code = (
        f"import sys, signal; sys.path.insert(0, {str(ROOT)!r})\n"
        "from sim import cache\n"
        "with cache.scratch() as folder:\n"
        "    (folder / 'begun').write_text('')\n"
        "    print(folder, flush=True)\n"
        "    signal.pause()\n"
    )
    makers = [
        subprocess.Popen([sys.executable, "-c", code], env=environment(), stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    killed, alive = (
        Path(os.fsdecode(maker.stdout.readline().strip())) for maker in makers if maker.stdout
    )
    makers[0].send_signal(signal.SIGKILL)
    makers[0].communicate()
    assert (killed / "begun").exists()
    with cache.scratch() as own:
        left = {path for path in (empty_cache / cache.SCRATCH).iterdir() if path.is_dir()}
        assert left == {alive, own}
    makers[1].kill()
    makers[1].communicate()
    assert cache.clean([]) == []
    assert list((empty_cache / cache.SCRATCH).iterdir()) == []


def test_orphans_of_earlier_versions_are_removed_after_a_day(empty_cache: Path) -> None:
    for kind, name in (("builds", "build-x"), ("designs", "tmpx"), ("models", ".x.safetensors.12")):
        for age in ("old", "new"):
            path = empty_cache / kind / f"{name}{age}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir() if kind == "builds" else path.write_text("")
            if age == "old":
                os.utime(path, (0, time.time() - 2 * cache.DAY))
    assert cache.entries() == []
    cache.remove_orphans()
    assert sorted(path.name for path in empty_cache.glob("*/*")) == [
        ".x.safetensors.12new",
        "build-xnew",
        "tmpxnew",
    ]


def test_no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A user without a home folder, as in a container; TILEBERT_CACHE helps but is not needed."""

    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    monkeypatch.setenv("TILEBERT_CACHE", str(tmp_path))
    assert cache.cache_folder() == tmp_path
    monkeypatch.delenv("TILEBERT_CACHE")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert cache.cache_folder() == tmp_path / f"tilebert-{os.getuid()}"
    assert cache.cache_folder().stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("link", [False, True])
def test_a_folder_that_another_user_made(
    link: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getuid", lambda: tmp_path.stat().st_uid + (not link))
    if link:
        (tmp_path / f"tilebert-{os.getuid()}").symlink_to(tmp_path)
    with pytest.raises(ToolError, match="cache: expected a folder of this user"):
        cache.private_folder(tmp_path)
