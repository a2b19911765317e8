"""STOPGAP's motive lists (particles) and wedge lists (tilts).

Voxels count from 1 and a particle is at orig + shift. The reference is turned into the particle by Rz(psi)·Rx(the)·Rz(phi), as in the TOM
toolbox: in the column order phi, psi, the.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.euler import matrix_from_zxz, zxz_from_matrix
from tomobayes.formats.poses import Poses
from tomobayes.formats.star import Table, read_star, write_star
from tomobayes.formats.star_values import TableReader
from tomobayes.formats.text_writer import write_lines
from tomobayes.formats.voxels import TomogramGrid, numbered_names, whole_and_rest
from tomobayes.model import BadInput, Dataset, Problem

__all__ = ["read_stopgap", "write_stopgap"]

Float = NDArray[np.float64]
Text = NDArray[np.str_]
MOTIVES, WEDGES = "stopgap_motivelist", "stopgap_wedgelist"
ORIGIN, SHIFT, ANGLES = ("orig_x", "orig_y", "orig_z"), ("x_shift", "y_shift", "z_shift"), ("psi", "the", "phi")
HALVES = np.array(["A", "A", "B"])
SCORE_LABEL = "rlnMaxValueProbDistribution"


def read_stopgap(path: Path, tomograms: dict[int, str] | None = None) -> Poses:
    """Positions and orientations of a motive list.

    Parameters
    ----------
    tomograms : number -> name; without it tomograms are known by their number
    """
    tables = read_star(path)
    if MOTIVES not in tables:
        raise BadInput(Problem(path, "", f"has no table data_{MOTIVES}", remedy="give a motive list of STOPGAP"))
    problems: list[Problem] = []
    reader = TableReader(path, tables[MOTIVES], problems)
    reader.require(dict.fromkeys(("tomo_num", *ORIGIN, *ANGLES), "STOPGAP writes them"))
    numbers = reader.integers("tomo_num").tolist()
    unknown = sorted({number for number in numbers if tomograms is not None and number not in tomograms})
    if unknown:
        reader.report("column tomo_num", f"no tomogram is number {unknown[0]}", "add it to the list of tomograms")
    if problems:
        raise BadInput(problems)
    return Poses(
        file=path,
        tomogram=np.array([str(number) if tomograms is None else tomograms[number] for number in numbers], dtype=np.str_),
        position=reader.triple(ORIGIN) + reader.triple(SHIFT),
        rotation=matrix_from_zxz(reader.triple(ANGLES)),
        class_number=reader.integers("class"),
        zero="first voxel is 1",
    )


def write_stopgap(path: Path, dataset: Dataset, grid: TomogramGrid) -> list[Path]:
    """Write a motive list, and beside it wedgelist.star and tomograms.txt, which says what the numbers stand for; give the files."""
    write_star(path, [Table(MOTIVES, _motives(dataset, grid))])
    wedges, names = path.with_name("wedgelist.star"), path.with_name("tomograms.txt")
    write_star(wedges, [Table(WEDGES, _wedges(dataset, grid))])
    write_lines(names, numbered_names(dataset.tilt_series))
    return [path, wedges, names]


def _motives(dataset: Dataset, grid: TomogramGrid) -> dict[str, Text]:
    particles = dataset.particles
    count = np.arange(1, len(particles) + 1)
    whole, rest = whole_and_rest(grid.voxels(dataset, first=1))
    psi, the, phi = zxz_from_matrix(particles.rotation).T
    score = particles.columns.get(SCORE_LABEL, np.zeros(len(particles))).astype(np.float64)
    numbers = {"motl_idx": count, "tomo_num": particles.tilt_series + 1, "object": np.ones_like(count), "subtomo_num": count}
    places = (
        {label: whole[:, i] for i, label in enumerate(ORIGIN)} | {"score": score} | {label: rest[:, i] for i, label in enumerate(SHIFT)}
    )
    columns = {label: values.astype(np.str_) for label, values in numbers.items()} | {"halfset": HALVES[particles.half]}
    columns |= {label: _decimals(values) for label, values in (places | {"phi": phi, "psi": psi, "the": the}).items()}
    return columns | {"class": np.maximum(particles.class_number, 1).astype(np.str_)}


def _wedges(dataset: Dataset, grid: TomogramGrid) -> dict[str, Text]:
    """One row per tilt: size, angle, defocus (µm), dose and optics."""
    voxel = grid.voxel_angstrom(dataset.tilt_series)
    blocks = []
    for index, series in enumerate(dataset.tilt_series):
        optics = next((one for one in dataset.optics if one.name == series.optics_name), dataset.optics[0])
        x, y, z = grid.size(series, index)
        same = {"tomo_num": index + 1, "pixelsize": voxel[index], "tomo_x": x, "tomo_y": y, "tomo_z": z, "z_shift": 0.0}
        per_tilt = {
            "tilt_angle": np.degrees(np.arctan2(-series.rotation[:, 2, 0], series.rotation[:, 2, 2])),
            "defocus": (series.defocus_u_angstrom + series.defocus_v_angstrom) / 2e4,
            "exposure": series.dose,
        }
        lens = {"voltage": optics.voltage_kv, "amp_contrast": optics.amplitude_contrast, "cs": optics.spherical_aberration_mm}
        blocks.append({label: np.broadcast_to(value, series.n_tilts) for label, value in (same | per_tilt | lens).items()})
    whole = {"tomo_num", "tomo_x", "tomo_y", "tomo_z"}
    stacked = {label: np.concatenate([block[label] for block in blocks]) for label in blocks[0]}
    return {label: cells.astype(np.int64).astype(np.str_) if label in whole else _decimals(cells) for label, cells in stacked.items()}


def _decimals(values: Float) -> Text:
    return np.array([f"{value:.6f}" for value in values.tolist()], dtype=np.str_)
