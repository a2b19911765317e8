"""Tilt series and particles as M leaves them, with every grid in use, made of random numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tomobayes.formats.star import Table, write_star
from tomobayes.formats.warp import WarpSizes, WarpTiltSeries, write_warp_tilt_series
from tomobayes.formats.warp_grids import CubicGrid, LinearGrid

__all__ = ["IMAGE", "PIXEL", "SIZES", "VOLUME", "refined_series", "write_m_table", "write_project"]

PIXEL = 2.0
VOLUME = (1200.0, 1500.0, 402.0)
IMAGE = (1400.0, 1100.0)
SIZES = WarpSizes(PIXEL, (600, 750, 201), (700, 550))
N_TILTS = 9


def refined_series(name: str, seed: int, *, inverted: bool = False, n_tilts: int = N_TILTS) -> WarpTiltSeries:
    """A tilt series of ±40° with image and volume warp, stage angles, astigmatism, weights, magnification and level angles."""
    rng = np.random.default_rng(seed)
    tilts = np.arange(n_tilts)
    order = np.argsort(np.abs(tilts - n_tilts // 2), kind="stable").argsort()
    along_tilts = {
        "GridAngleX": rng.normal(0, 0.5, n_tilts),
        "GridAngleY": rng.normal(0, 0.5, n_tilts),
        "GridAngleZ": rng.normal(0, 0.5, n_tilts),
        "GridCTF": rng.uniform(2.5, 3.5, n_tilts),
        "GridCTFDefocusDelta": rng.uniform(-0.05, 0.1, n_tilts),
        "GridCTFDefocusAngle": rng.uniform(0, 180, n_tilts),
        "GridCTFPhase": rng.uniform(0, 0.3, n_tilts),
        "GridDoseBfacs": -4.0 * 3 * order - rng.uniform(0, 20, n_tilts),
        "GridDoseWeights": rng.uniform(0.4, 1, n_tilts),
    }
    cubic = {tag: CubicGrid(values[:, None, None]) for tag, values in along_tilts.items()}
    cubic |= {f"GridMovement{axis}": CubicGrid(rng.normal(0, 5, (n_tilts, 3, 4))) for axis in "XY"}
    return WarpTiltSeries(
        name=name,
        angle_degrees=np.linspace(40, -40, n_tilts) + rng.normal(0, 0.01, n_tilts),
        dose=3.0 * order,
        is_used=np.full(n_tilts, True),
        axis_angle_degrees=np.full(n_tilts, -85.6),
        axis_offset_angstrom=rng.normal(0, 30, (n_tilts, 2)),
        movie_paths=np.array([f"../frames/{name}_{i:03d}.tif" for i in order]),
        field_of_view=np.ones(n_tilts),
        is_inverted=inverted,
        level_degrees=(1.5, -5.9),
        magnification=((1.006, 0.004), (0.003, 1.001)),
        volume_angstrom=VOLUME,
        image_angstrom=IMAGE,
        ctf={
            "Voltage": "300",
            "Cs": "2.7",
            "Amplitude": "0.1",
            "ZernikeCoeffsEven": "0.8;-0.1;-0.7;0;0;0;0;0",
            "ZernikeCoeffsOdd": "3;-11;1;2;-6;-1",
        },
        options={"PixelSize": str(PIXEL)},
        cubic=cubic,
        linear={f"GridVolumeWarp{axis}": LinearGrid(rng.normal(0, 3, (4, 2, 3, 2))) for axis in "XYZ"},
    )


def write_m_table(path: Path, series: list[str], n_particles: int = 12, samples: int = 3, seed: int = 5) -> None:
    """Particles with trajectories, well inside the volume."""
    rng = np.random.default_rng(seed)
    place = rng.uniform(0.3, 0.7, (n_particles, 1, 3)) * VOLUME + rng.normal(0, 4, (n_particles, samples, 3))
    angles = rng.uniform([-170, 20, -170], [170, 160, 170], (n_particles, 1, 3)) + rng.normal(0, 0.3, (n_particles, samples, 3))
    columns = {}
    for i in range(samples):
        columns |= {f"wrpCoordinate{axis}{i + 1}": np.array([f"{v:.5f}" for v in place[:, i, k]]) for k, axis in enumerate("XYZ")}
        columns |= {
            f"wrpAngle{part}{i + 1}": np.array([f"{v:.5f}" for v in angles[:, i, k]]) for k, part in enumerate(("Rot", "Tilt", "Psi"))
        }
    columns["wrpRandomSubset"] = np.array([str(1 + i % 2) for i in range(n_particles)])
    columns["wrpSourceName"] = np.array([f"{series[i % len(series)]}.tomostar" for i in range(n_particles)])
    columns["wrpSourceHash"] = np.array([f"HASH{i % len(series)}" for i in range(n_particles)])
    columns["rlnAutopickFigureOfMerit"] = np.array([f"{i}.5" for i in range(n_particles)])
    write_star(path, [Table("", columns)])


def write_project(folder: Path, series: list[WarpTiltSeries]) -> Path:
    """XML files in a folder, and the table of particles beside them."""
    for one in series:
        write_warp_tilt_series(folder / "warp_tiltseries" / f"{one.name}.xml", one)
    write_m_table(folder / "ribosome_particles.star", [one.name for one in series])
    return folder / "warp_tiltseries"
