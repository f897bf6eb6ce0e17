"""Assertion of exact error messages."""

import re

import pytest


def raises(message: str) -> "pytest.RaisesExc[ValueError]":
    """Context that expects a ValueError with exactly this message."""
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")
