"""A folder of its own for each test, and a small map to work on."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from phantoms import ball

from tomobayes.cli import main
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


TINY = [
    "simulate", "--model", "builtin:ribosome", "--angpix", "16", "--box", "24", "--n-series", "2", "--n-particles", "8",
    "--image-size-px", "96", "80", "--tilt-min", "-40", "--tilt-max", "40", "--tilt-step", "10", "--thickness", "400",
    "--min-distance", "250", "--snr", "1", "--data-type", "float32", "--position-error", "6", "--no-angles",
]  # fmt: skip


@pytest.fixture(scope="session")
def simulated(tmp_path_factory) -> Path:
    """Two tiny tilt series with eight ribosomes each, made once."""
    folder = tmp_path_factory.mktemp("tiny") / "sim"
    assert main([*TINY, "--o", str(folder)]) == 0
    return folder


@pytest.fixture
def tiny(simulated, project) -> Path:
    """A copy of them as ``sim`` in the test's own folder, whose files name each other from there."""
    shutil.copytree(simulated, project / "sim")
    for star in (project / "sim").rglob("*.star"):
        star.write_text(star.read_text().replace(str(simulated), "sim"))
    return project / "sim"
