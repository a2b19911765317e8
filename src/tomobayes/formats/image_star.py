"""One row per particle and tilt, as M writes sub-tilt-stacks and cryoDRGN-ET reads them: every image with a pose and a CTF of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.euler import euler_from_matrix
from tomobayes.formats.paths import name_from
from tomobayes.formats.relion4_write import dose_per_tilt
from tomobayes.formats.relion_particles import PARTICLE_ANGLES
from tomobayes.formats.star import Table, write_star
from tomobayes.formats.star_values import format_float
from tomobayes.imaging.views import views_of
from tomobayes.model import Dataset

__all__ = ["write_image_star"]

Text = NDArray[np.str_]
B_FACTOR_PER_DOSE = -4.0
"""Å² per e/Å²: how M, and after it cryoDRGN and tomoDRGN, write the dose that an image ends with."""


def write_image_star(
    path: Path, dataset: Dataset, stacks: Sequence[Path], visible: Sequence[NDArray[np.bool_]], pixel_size_angstrom: float, box: int
) -> None:
    """Write a STAR file whose rows are the images of the particles in order, each particle's by dose.

    The orientation of an image is R_f·A, its defocus that at the particle's depth. rlnCtfScalefactor is the cosine of the tilt, and
    rlnCtfBfactor -4 times the dose at the image's end, from which readers find the order of the tilts again.

    Parameters
    ----------
    stacks : (P,) file of each particle, holding its visible tilts in row order
    visible : (F,) bool of each particle
    pixel_size_angstrom, box : of the images
    """
    parts = [_rows(dataset, row, stack, seen) for row, (stack, seen) in enumerate(zip(stacks, visible, strict=True))]
    columns = {label: np.concatenate([part[label] for part in parts]) for label in parts[0]}
    n_images = len(next(iter(columns.values())))
    columns |= {"rlnDetectorPixelSize": np.full(n_images, f"{pixel_size_angstrom:.6f}"), "rlnImageSize": np.full(n_images, str(box))}
    columns |= {"rlnMagnification": np.full(n_images, "10000"), "rlnImagePixelSize": np.full(n_images, f"{pixel_size_angstrom:.6f}")}
    write_star(path, [Table("", columns)])


def _rows(dataset: Dataset, row: int, stack: Path, visible: NDArray[np.bool_]) -> dict[str, Text]:
    """The images of one particle, the least exposed first."""
    particles = dataset.particles
    series = dataset.tilt_series[int(particles.tilt_series[row])]
    views = views_of(dataset, np.array([row]))
    tilts = np.flatnonzero(visible)
    tilts = tilts[np.argsort(series.dose[tilts], kind="stable")]
    section = np.cumsum(visible)[tilts]
    angles = euler_from_matrix(series.rotation[tilts] @ particles.rotation[row])
    after = series.dose[tilts] + dose_per_tilt(series)
    numbers = {
        "rlnVoltage": np.full(len(tilts), views.optics.voltage_kv),
        "rlnSphericalAberration": np.full(len(tilts), views.optics.spherical_aberration_mm),
        "rlnAmplitudeContrast": np.full(len(tilts), views.optics.amplitude_contrast),
        "rlnPhaseShift": np.degrees(series.phase_shift_radians[tilts]),
        "rlnDefocusU": views.defocus_u_angstrom[0].numpy()[tilts],
        "rlnDefocusV": views.defocus_v_angstrom[0].numpy()[tilts],
        "rlnDefocusAngle": np.degrees(series.astigmatism_radians[tilts]),
        **dict(zip(PARTICLE_ANGLES, angles.T, strict=True)),
        "rlnOriginXAngst": np.zeros(len(tilts)),
        "rlnOriginYAngst": np.zeros(len(tilts)),
        "rlnCtfBfactor": B_FACTOR_PER_DOSE * after,
        "rlnCtfScalefactor": series.rotation[tilts, 2, 2],
    }
    words = {
        "rlnImageName": [f"{number:06d}@{name_from(stack)}" for number in section.tolist()],
        "rlnMicrographName": [f"{series.name}_{tilt:03d}" for tilt in tilts.tolist()],
        "rlnRandomSubset": [str(particles.half[row])] * len(tilts),
        "rlnGroupName": [str(particles.name[row])] * len(tilts),
    }
    cells = {label: np.array([format_float(value) for value in values.tolist()], dtype=np.str_) for label, values in numbers.items()}
    return cells | {label: np.array(values, dtype=np.str_) for label, values in words.items()}
