"""A folder of its own for each test, and a small map to work on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from phantoms import ball

from tomobayes.formats.mrc import write_map
from tomobayes.model import Map


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def halves(project) -> tuple[Path, Path]:
    """Two noisy half-maps of a ball, 4 Å voxels."""
    random = np.random.default_rng(1)
    for name in ("half1", "half2"):
        write_map(project / f"{name}.mrc", Map(ball() + random.normal(0, 0.4, (24, 24, 24)).astype(np.float32), 4.0))
    return project / "half1.mrc", project / "half2.mrc"
