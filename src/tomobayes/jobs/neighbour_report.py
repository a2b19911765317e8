"""The page about a lattice: neighbour plots as users of Dynamo and ArtiaX know them, the places, and who stands in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tomobayes.particles.lattice import REACH, Lattice
from tomobayes.particles.neighbour_plot import neighbour_plot
from tomobayes.report import Fact, Finding, Report, Section, Slices, Table, format_number, histogram_chart
from tomobayes.report.pictures import to_grey

__all__ = ["lattice_report"]

Float = NDArray[np.float64]
MANY_BY_CHANCE = 0.05
_PLANES = {"xy": 0, "xz": 1, "yz": 2}


def lattice_report(
    position_angstrom: Float,
    of_kept: NDArray[np.bool_],
    lattice: Lattice | None,
    spacing_angstrom: float,
    support: Float,
    least: float,
    by_chance: float,
) -> Report:
    """What was found.

    Parameters
    ----------
    position_angstrom : (N, 3) neighbours in the frames of their particles
    of_kept : (N,) whether their particles are kept
    lattice : the places, None where none were learned
    support : (P,) of the particles, kept where at least ``least``
    by_chance : share of randomly turned particles that would be kept
    """
    kept = int((support >= least).sum())
    facts = [
        Fact("Particles", f"{kept} of {len(support)}"),
        Fact("Neighbours", f"{format_number(spacing_angstrom, 3)} Å apart" + ("" if lattice is None else f", {len(lattice.turns)} places")),
        Fact("Kept if turned at random", f"{100 * by_chance:.1f} %"),
    ]
    findings = []
    if by_chance > MANY_BY_CHANCE:
        text = f"{100 * by_chance:.0f} % of randomly turned particles would be kept, too: ask for more neighbours or allow less tolerance."
        findings.append(Finding("warning", text))
    reach = REACH * spacing_angstrom
    plots = [_pictures(position_angstrom, reach, "Neighbours of all particles", "neighbours")]
    plots.append(_pictures(position_angstrom[of_kept], reach, "Neighbours of the particles that stay", "neighbours_kept"))
    tables = [] if lattice is None else [_places(lattice, position_angstrom[of_kept], kept)]
    chart = histogram_chart("What neighbours say", support, "Support", caption=f"Particles stay from {least:g} on.")
    return Report(
        "Lattice", facts=facts, findings=findings, sections=[Section("Neighbour plot", [*plots, *tables]), Section("Particles", [chart])]
    )


def _pictures(position: Float, reach: float, title: str, name: str) -> Slices:
    """The neighbour plot, summed along each axis."""
    plot = neighbour_plot(position, reach, reach / 60)
    planes = {label: plot.density.sum(axis) for label, axis in _PLANES.items()}
    images = {label: to_grey(plane, 0.0, max(float(np.percentile(plane, 99.8)), 1e-9)) for label, plane in planes.items()}
    caption = "In the frame of each particle, which sits in the middle; summed along the axis that is not shown."
    return Slices(title, name, images, plot.voxel_angstrom, caption)


def _places(lattice: Lattice, position: Float, kept: int) -> Table:
    """Each place, and how many of the particles have a neighbour there."""
    rows: list[tuple[float | int | str, ...]] = []
    order = np.argsort(np.linalg.norm(lattice.position_angstrom, axis=1), kind="stable")
    for index in order:
        place = lattice.position_angstrom[index]
        there = np.linalg.norm(position - place, axis=1) <= lattice.spacing_angstrom / 6
        share = f"{100 * there.sum() / max(kept, 1):.0f} %"
        rows.append((*(round(float(x), 1) for x in place), round(float(np.linalg.norm(place)), 1), len(lattice.turns[index]), share))
    return Table("Places", ("x (Å)", "y (Å)", "z (Å)", "Distance (Å)", "Orientations", "Particles with a neighbour there"), rows)
