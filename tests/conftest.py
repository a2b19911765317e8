"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared data ($TOMOBAYES_SHARED, else ``../shared`` beside the repository)."""
    default = Path(__file__).resolve().parents[1].parent / "shared"
    folder = Path(os.environ.get("TOMOBAYES_SHARED", default))
    if not (folder / "data").is_dir():
        pytest.skip(f"no shared data at {folder}: set TOMOBAYES_SHARED to the folder that holds data/")
    return folder
