"""``clean-lattice``: particles whose neighbours stand where a lattice has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.geometry.pointgroups import point_group
from tomobayes.jobs.curation import hand_on_particles, open_dataset
from tomobayes.jobs.describe import data_section
from tomobayes.jobs.frame import Context
from tomobayes.jobs.neighbour_report import lattice_report
from tomobayes.jobs.parameters import CleanLattice
from tomobayes.model import BadInput, Particles, Problem
from tomobayes.particles.lattice import (
    REACH,
    TOLERANCE,
    Lattice,
    fits_lattice,
    fits_spacing,
    learn_lattice,
    learn_spacing,
    support_by,
    support_of,
)
from tomobayes.particles.neighbours import Pairs, nearest_distance, pairs_within, relative_poses
from tomobayes.particles.rows import with_rows

__all__ = ["run"]

Float = NDArray[np.float64]
Marks = NDArray[np.bool_]
_CROWD = 6
"""How far to look for a spacing is 2.5 times the usual distance of this nearest neighbour: doubles shorten it by little."""


@dataclass(frozen=True)
class _Neighbours:
    """Pairs of neighbours, where the second is and how it is turned in the frame of the first."""

    pairs: Pairs
    position_angstrom: Float
    turn: Float


def run(parameters: CleanLattice, context: Context) -> Path:
    """Write the members of the lattice, in their order, everything known of them verbatim, with their support."""
    members, dataset = open_dataset(parameters)
    particles, group = dataset.particles, _group(parameters)
    spacing = parameters.distance or _spacing(particles, group)
    near = _neighbours(particles, REACH * spacing)
    lattice = None
    if parameters.angle is None:
        lattice = learn_lattice(near.position_angstrom, near.turn, group, spacing)
        if lattice is None:
            raise _no_lattice()
        spacing = lattice.spacing_angstrom
    fits_of = _rule(parameters, lattice, spacing, group)
    fits = fits_of(near.position_angstrom, near.turn)
    support, weight = support_of(near.pairs, fits, spacing, len(particles))
    kept = support >= parameters.min_neighbours
    if not kept.any():
        raise BadInput(Problem(None, "--min-neighbours", f"no particle has more support than {support.max():.2g}", remedy="ask for less"))
    by_chance = _kept_by_chance(near, fits_of, weight, spacing, parameters.min_neighbours)
    folder = context.open([members.particles, members.tomograms, members.trajectories])
    context.log.say(f"Neighbours stand {spacing:.1f} Å apart" + ("" if lattice is None else f", at {len(lattice.turns)} places"))
    context.log.say(f"{kept.sum()} of {len(kept)} particles stand in the lattice; of randomly turned ones {100 * by_chance:.1f} % would")
    left = with_rows(dataset, np.flatnonzero(kept))
    hand_on_particles(folder, left, members, context, {"tomobayesLatticeSupport": support[kept]})
    report = lattice_report(near.position_angstrom, kept[near.pairs.first], lattice, spacing, support, parameters.min_neighbours, by_chance)
    context.show(replace(report, sections=[*report.sections, data_section(left)]))
    return folder


def _group(parameters: CleanLattice) -> Float:
    try:
        return point_group(parameters.sym)
    except ValueError as error:
        raise BadInput(Problem(None, "--sym", str(error))) from None


def _neighbours(particles: Particles, reach: float) -> _Neighbours:
    pairs = pairs_within(particles.centre_angstrom, particles.tilt_series, reach)
    return _Neighbours(pairs, *relative_poses(particles.centre_angstrom, particles.rotation, pairs))


def _spacing(particles: Particles, group: Float) -> float:
    """The distance of the clearest spot of the neighbour plot."""
    crowd = nearest_distance(particles.centre_angstrom, particles.tilt_series, _CROWD)
    crowd = crowd[np.isfinite(crowd)]
    reach = 2.5 * float(np.median(crowd)) if len(crowd) else 0.0
    spacing = learn_spacing(_neighbours(particles, reach).position_angstrom, reach, group) if reach > 0 else None
    if spacing is None:
        raise _no_lattice()
    return spacing


def _no_lattice() -> BadInput:
    why = "the neighbour plot has no spot, at which many particles have a neighbour that others do not have just beside it"
    remedy = "refine first, give --sym and --distance, or give --distance and --angle to learn no places"
    return BadInput(Problem(None, "", "these particles form no lattice", why, remedy))


def _rule(parameters: CleanLattice, lattice: Lattice | None, spacing: float, group: Float) -> Callable[[Float, Float], Marks]:
    """Which neighbours fit, of positions and turns in the frames of their particles."""
    tolerance = parameters.tolerance or TOLERANCE * spacing

    def fits_of(position: Float, turn: Float) -> Marks:
        if lattice is None:
            assert parameters.angle is not None
            return fits_spacing(position, turn, group, spacing, tolerance, parameters.angle)
        return fits_lattice(lattice, position, turn, group, tolerance, parameters.tolerance_angle)

    return fits_of


def _kept_by_chance(near: _Neighbours, fits_of: Callable[[Float, Float], Marks], weight: Float, spacing: float, least: float) -> float:
    """Share of the particles that would be kept were each turned at random where it is, all others as they are."""
    from scipy.spatial.transform import Rotation

    turned = Rotation.random(len(weight), random_state=0).as_matrix()[near.pairs.first]
    fits = fits_of(np.einsum("nij,nj->ni", turned, near.position_angstrom), turned @ near.turn)
    return float((support_by(near.pairs, fits, spacing, weight) >= least).mean())
