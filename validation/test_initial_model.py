"""First maps from positions alone, with no reference, and what refinement makes of them, against refinement from the true map."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from commands import fsc_curve, save_like, tomobayes
from superposition import superposed
from test_refine_symmetry import BOX, Symmetric, apoferritin, hexamers  # noqa: F401 (fixtures)
from tomobayes.formats.mrc import read_map
from tomobayes.formats.relion import read_dataset, write_particles
from tomobayes.maps.resampling import fourier_resample

SEEDS = range(5)
REFERENCE = 50.0
"""Å, of the reference that refinement from picked positions is validated with."""
DIAMETER, RIBOSOME_PX = 270.0, 17
"""Å, and voxels of 8 Å: radius of the sphere in which ribosomes are compared."""
ALONG_THE_NORMAL = ("--sigma-tilt", 10, "--strict-highres-exp", 26, "--starts", 1)
"""Of initial-model, for picks that stand along the normal of a sphere."""


def _resolution(shared: Path, found: Path, truth: np.ndarray, detail: float, radius_px: int) -> float:
    """Å where the FSC of a map with the truth falls to 0.5, after the map was turned onto it, in the better of both hands."""
    one = read_map(found)
    edge = one.box * one.pixel_size_angstrom
    placed = superposed(one.data, truth, round(edge / detail), radius_px)
    files = (save_like(found.with_name(f"{name}.mrc"), data, found) for name, data in (("placed", placed.data), ("truth", truth)))
    curve = fsc_curve(shared, *files, radius_px)
    low = np.flatnonzero(curve[1:] < 0.5)
    return edge / max(int(low[0]) if len(low) else len(curve) - 1, 0.5)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("initial_model")


@pytest.fixture(scope="module")
def ribosome(shared):
    """The true map in voxels of 8 Å."""
    return fourier_resample(read_map(shared / "data/simulated/ribosome/truth_class1.mrc").data, 48)


def _first_ribosome(work: Path, shared: Path, seed: int) -> Path:
    folder = work / f"ribosome_{seed}"
    if not folder.exists():
        images = ("--i", shared / "data/simulated/ribosome/optimisation_set_picked.star", "--box", 48, "--bin", 2)
        effort = ("--starts", 1, "--iter", 8, "--strict-highres-exp", 40, "--random-seed", seed)
        tomobayes("initial-model", *images, "--particle-diameter", DIAMETER, *effort, "--o", folder)
    return folder / "run_class001.mrc"


def _reconstructed(work: Path, shared: Path, name: str, turned: bool) -> Path:
    """The map at the true poses, or at the picked positions in random orientations."""
    data = shared / "data/simulated/ribosome"
    given = read_dataset(data / "optimisation_set.star", data / ("particles_picked.star" if turned else "particles_truth.star"))
    particles = given.particles
    if turned:
        particles = replace(particles, rotation_particle=Rotation.random(len(particles), random_state=0).as_matrix())
    write_particles(work / f"{name}.star", given.with_particles(particles))
    words = ("--i", data / "optimisation_set.star", "--p", work / f"{name}.star", "--particle-diameter", DIAMETER)
    tomobayes("reconstruct", *words, "--box", 48, "--bin", 2, "--o", work / name)
    return work / name / "merged.mrc"


def test_ribosomes_from_positions(work, shared, ribosome, claims):
    """One start each: no seed may rely on being chosen."""
    oracle, null = (
        _resolution(shared, _reconstructed(work, shared, name, turned), ribosome, 40.0, RIBOSOME_PX)
        for name, turned in (("true_poses", False), ("random_poses", True))
    )
    found = [_resolution(shared, _first_ribosome(work, shared, seed), ribosome, 40.0, RIBOSOME_PX) for seed in SEEDS]
    claims.measured(
        "ribosome: seeds of 5 whose first map is right beyond 50 Å (FSC to the truth 0.5, either hand)",
        sum(one < REFERENCE for one in found),
        at_least=4,
        oracle=5.0 if oracle < REFERENCE else 0.0,
        null=5.0 if null < REFERENCE else 0.0,
    )
    claims.measured("ribosome: resolution of the middle one, Å", float(np.median(found)), oracle=oracle, null=null)


@pytest.mark.long
def test_ribosomes_refined_from_the_first_map(work, shared, ribosome, claims):
    images = ("--i", shared / "data/simulated/ribosome/optimisation_set_picked.star", "--particle-diameter", DIAMETER)
    true = save_like(work / "true.mrc", ribosome, _first_ribosome(work, shared, 0))
    after = {}
    for seed, reference in ((None, true), *((seed, _first_ribosome(work, shared, seed)) for seed in SEEDS)):
        folder = work / f"refined_{seed}"
        tomobayes("refine", *images, "--ref", reference, "--o", folder)
        after[seed] = _resolution(shared, folder / "run_class001.mrc", ribosome, 24.0, RIBOSOME_PX)
    _claim_as_good_as_from_the_truth("ribosome", after, claims)


def _claim_as_good_as_from_the_truth(what: str, after: dict[int | None, float], claims) -> None:
    """Resolutions, in Å, that refinement reaches from the first map of each seed and, at None, from the true map."""
    oracle = after[None]
    for seed in SEEDS:
        told = f"{what}: resolution (Å, FSC to the truth 0.5) refined from the first map of seed {seed}"
        claims.measured(told, after[seed], oracle=oracle)
    within = sum(after[seed] <= 1.1 * oracle for seed in SEEDS)
    claims.measured(f"{what}: seeds of {len(SEEDS)} that refine to within a tenth of the resolution from the true map", within, at_least=4)


def _first(one: Symmetric, seed: int, *options: object) -> Path:
    folder = one.folder / f"first_{seed}"
    if not folder.exists():
        words = ("initial-model", *one.images, "--p", one.folder / "picked.star", "--box", BOX, "--sym", one.symmetry, *options)
        tomobayes(*words, "--random-seed", seed, "--o", folder)
    return folder / "run_class001.mrc"


def _claim_seeds(one: Symmetric, shared: Path, claims, detail: float, bar: float, *options: object) -> None:
    truth = read_map(one.truth).data
    found = [_resolution(shared, _first(one, seed, *options), truth, detail, one.inner_px) for seed in SEEDS]
    what = f"{one.symmetry}: seeds of 5 whose first map is right beyond {bar:g} Å (FSC to the truth 0.5, either hand)"
    claims.measured(what, sum(one < bar for one in found), at_least=4)
    claims.measured(f"{one.symmetry}: resolution of the middle one, Å", float(np.median(found)))


def _claim_refined(one: Symmetric, shared: Path, claims, firsts: dict[int, Path], *options: object) -> None:
    after, truth = {}, read_map(one.truth).data
    for seed, reference in ((None, one.truth), *firsts.items()):
        folder = one.folder / f"refined_{seed}"
        words = ("refine", *one.images, "--p", one.folder / "picked.star", "--ref", reference, "--sym", one.symmetry, *options)
        tomobayes(*words, "--o", folder)
        after[seed] = _resolution(shared, folder / "run_class001.mrc", truth, 15.0, one.inner_px)
    _claim_as_good_as_from_the_truth(one.symmetry, after, claims)


@pytest.mark.long
def test_apoferritin_from_positions(apoferritin, shared, claims):  # noqa: F811
    """Refinement needs 20 Å, where an apoferritin has sides."""
    _claim_seeds(apoferritin, shared, claims, 17.0, 20.0)


@pytest.mark.long
def test_apoferritin_refined_from_the_first_map(apoferritin, shared, claims):  # noqa: F811
    _claim_refined(apoferritin, shared, claims, {seed: _first(apoferritin, seed) for seed in SEEDS}, "--ini-high", 20)


@pytest.mark.long
def test_hexamers_from_picks(hexamers, shared, claims):  # noqa: F811
    """Picks along the sphere's normal; refinement needs 30 Å."""
    _claim_seeds(hexamers, shared, claims, 26.0, 30.0, *ALONG_THE_NORMAL)


@pytest.mark.long
def test_hexamers_refined_from_the_first_map(hexamers, shared, claims):  # noqa: F811
    firsts = {seed: _first(hexamers, seed, *ALONG_THE_NORMAL) for seed in SEEDS}
    _claim_refined(hexamers, shared, claims, firsts, "--ini-high", 30, "--sigma-tilt", 10, "--offset-range", 24)
