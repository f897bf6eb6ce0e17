"""Tests of training run where its packages are installed (extra `train`)."""

from importlib.util import find_spec

MISSING = [name for name in ("torch", "transformers") if find_spec(name) is None]

collect_ignore_glob = ["test_train_*.py"] if MISSING else []


def pytest_report_header() -> str:
    """What is left out, and why."""
    return (
        f"test_train_*.py left out: {' and '.join(MISSING)} not installed"
        if MISSING
        else "test_train_*.py: run"
    )
