"""A small RELION-5 project on disk, written from data with known values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tomobayes.formats.euler import matrix_from_euler, matrix_from_tilt_angles
from tomobayes.formats.mrc import write_stack
from tomobayes.formats.mrc_images import MrcImages
from tomobayes.formats.relion import write_dataset
from tomobayes.model import Dataset, Optics, Particles, TiltSeries

N_TILTS, N_PARTICLES, WIDTH, HEIGHT = 3, 5, 12, 10


def make_series(folder: Path, name: str, rng: np.random.Generator) -> TiltSeries:
    images = rng.normal(size=(N_TILTS, HEIGHT, WIDTH))
    write_stack(folder / f"{name}.mrcs", images, 2.5)
    angles = rng.uniform(-60, 60, size=(N_TILTS, 3))
    return TiltSeries(
        name=name,
        pixel_size_angstrom=2.5,
        hand=-1.0,
        tomogram_size=(40, 38, 21),
        image_size=(WIDTH, HEIGHT),
        rotation=matrix_from_tilt_angles(angles),
        shift_angstrom=rng.normal(size=(N_TILTS, 2)) * 10,
        dose=np.array([6.0, 0.0, 3.0]),
        defocus_u_angstrom=rng.uniform(2e4, 3e4, N_TILTS),
        defocus_v_angstrom=rng.uniform(2e4, 3e4, N_TILTS),
        astigmatism_radians=rng.uniform(-1, 1, N_TILTS),
        phase_shift_radians=rng.uniform(0, 1, N_TILTS),
        scale=rng.uniform(0.5, 1, N_TILTS),
        b_factor=rng.uniform(0, 50, N_TILTS),
        optics_name="first",
        defocus_slope=0.9,
        images=MrcImages.of_stack(folder / f"{name}.mrcs"),
    )


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Two tilt series of three tilts and five particles, all quantities in use."""
    rng = np.random.default_rng(7)
    series = tuple(make_series(tmp_path, name, rng) for name in ("0001", "TS_two.a"))
    tilt_series = np.array([0, 0, 1, 1, 0])
    particles = Particles(
        name=np.array(["0001/1", "0001/2", "TS_two.a/1", "TS_two.a/2", "0001/3"]),
        tilt_series=tilt_series,
        optics=np.array([0, 1, 0, 1, 0]),
        position_angstrom=rng.normal(size=(N_PARTICLES, 3)) * 20,
        rotation_subtomogram=matrix_from_euler(rng.uniform(-180, 180, (N_PARTICLES, 3))),
        rotation_particle=matrix_from_euler(rng.uniform(-180, 180, (N_PARTICLES, 3))),
        origin_angstrom=rng.normal(size=(N_PARTICLES, 3)),
        half=np.array([1, 2, 1, 2, 1]),
        class_number=np.ones(N_PARTICLES, dtype=np.int64),
        tilt_prior_degrees=np.array([90, np.nan, 0, 12.5, 90]),
        psi_prior_degrees=np.array([0, -35.5, np.nan, 170, 90]),
        rot_prior_degrees=np.array([np.nan, 12.25, 0, -179, 60]),
    )
    optics = (Optics("first", 300.0, 2.7, 0.1), Optics("second", 300.0, 2.7, 0.1, (1e-3, -2.5, 3e4), (0.5, -7.25)))
    motion = tuple(rng.normal(size=(N_TILTS, 3)) for _ in range(N_PARTICLES))
    return Dataset(series, optics, particles, motion)


@pytest.fixture
def project(tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same on disk, as a project's folder that is also the current one."""
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path, dataset)
    return tmp_path
