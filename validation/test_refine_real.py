"""Refinement of a real specimen: 40 ribosomes in Mycoplasma (EMPIAR-10499), stored 2D stacks of 12 Å pixels.

Half-sets: five random splits, 20 against 20. Figures: FSC of the half maps at shells 6, 8 and 10 of 384 Å, and of their
sum with the map that RELION made of the same images, whichever of its two hands fits better.
"""

from __future__ import annotations

import mrcfile
import numpy as np
import pytest
import starfile
from scipy.spatial.transform import Rotation

from commands import fsc_curve, save_like, tomobayes

pytestmark = pytest.mark.long  # ten refinements
SHELLS = {64: 6, 48: 8, 38: 10}
HALVES_BAR = {64: 0.57, 48: 0.50, 38: 0.38}
MAP_BAR = {64: 0.78, 48: 0.75, 38: 0.70}
DIAMETER = 300
SHARED = 55
AS_PERTURBED = ("--sigma-ang", 8 / 3**0.5, "--offset-sigma", 8 / 3**0.5, "--ini-high", SHARED, "--low-resol-join-halves", SHARED)
RADIUS_PX = 8
SEEDS = range(1, 6)
STEM = "warptools_test_4-tomos_10-ptcls_box-32_angpix-12"


def _written(shared, folder, seed, rotate, shift_angstrom):
    """The particle file with half-sets of one split, every particle turned by ``rotate`` and moved."""
    data = shared / "data/real/ribosome_70s_12A"
    tables = starfile.read(data / f"{STEM}.star", parse_as_string=["rlnTomoName"])
    particles = tables["particles"]
    generator = np.random.default_rng(seed)
    halves = np.ones(40, dtype=int)
    halves[generator.permutation(40)[:20]] = 2
    particles["rlnRandomSubset"] = halves
    angles = ["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]
    given = Rotation.from_euler("ZYZ", particles[angles].to_numpy(float), degrees=True)
    particles[angles] = (rotate(generator) * given).as_euler("ZYZ", degrees=True)
    for axis, moved in zip("XYZ", generator.normal(size=(3, 40)) * shift_angstrom / np.sqrt(3), strict=True):
        particles[f"rlnOrigin{axis}Angst"] = moved
    particles["rlnImageName"] = [str(data / name) for name in particles["rlnImageName"]]
    starfile.write(tables, folder / "particles.star")
    return ["--p", folder / "particles.star", "--t", data / f"{STEM}_tomograms.star"]


def _figures(shared, folder, names):
    half1, half2 = (folder / name for name in names)
    ours = save_like(folder / "sum.mrc", mrcfile.read(half1) + mrcfile.read(half2), half1)
    theirs = shared / "data/real/ribosome_70s_12A/warptools_test_box-32_angpix-12_reconstruct.mrc"
    mirror = save_like(folder / "mirror.mrc", np.roll(mrcfile.read(theirs)[::-1], 1, 0), half1)
    same = save_like(folder / "same.mrc", mrcfile.read(theirs), half1)
    with_map = max((fsc_curve(shared, ours, other, RADIUS_PX) for other in (mirror, same)), key=lambda curve: curve[6:11].mean())
    shells = list(SHELLS.values())
    return fsc_curve(shared, half1, half2, RADIUS_PX)[shells], with_map[shells]


def _refined(shared, tmp_path, seed, rotate, shift_angstrom, *priors):
    folder = tmp_path / f"seed{seed}"
    folder.mkdir()
    given = _written(shared, folder, seed, rotate, shift_angstrom)
    tomobayes("reconstruct", *given, "--o", folder / "start")
    tomobayes(
        *("refine", *given, "--particle-diameter", DIAMETER, *priors, "--offset-range", 20, "--o", folder / "job"),
    )
    refined = _figures(shared, folder / "job", ("run_half1_class001_unfil.mrc", "run_half2_class001_unfil.mrc"))
    return refined, _figures(shared, folder / "start", ("half1.mrc", "half2.mrc"))


def _at_random(generator):
    return Rotation.random(40, random_state=int(generator.integers(2**31)))


def _perturbed(generator):
    return Rotation.from_rotvec(np.radians(8) * generator.normal(size=(40, 3)) / np.sqrt(3))


def _unturned(generator):
    return Rotation.identity(40)


@pytest.fixture(scope="module")
def given_figures(shared, tmp_path_factory):
    """From the given poses: refined figures, and those of the given poses themselves."""
    folder = tmp_path_factory.mktemp("given")
    priors = ("--sigma-ang", 1.0, "--offset-sigma", 2.0, "--ini-high", 60)
    return [_refined(shared, folder, seed, _unturned, 0.0, *priors) for seed in SEEDS]


@pytest.fixture(scope="module")
def perturbed_figures(shared, tmp_path_factory):
    """From poses perturbed by 8° and 8 Å; priors per component as wide as that, one reference where even random poses agree."""
    folder = tmp_path_factory.mktemp("perturbed")
    return [_refined(shared, folder, seed, _perturbed, 8.0, *AS_PERTURBED) for seed in SEEDS]


@pytest.fixture(scope="module")
def shared_reference_figures(shared, tmp_path_factory):
    """What sharing a reference alone makes two halves agree: the same refinement, from random poses."""
    folder = tmp_path_factory.mktemp("shared")
    return [_refined(shared, folder, seed, _at_random, 0.0, *AS_PERTURBED)[0] for seed in SEEDS]


@pytest.fixture(scope="module")
def random_figures(shared, tmp_path_factory):
    """The control: maps of the same images at random poses."""
    figures = []
    for seed in SEEDS:
        folder = tmp_path_factory.mktemp(f"random{seed}")
        tomobayes("reconstruct", *_written(shared, folder, seed, _at_random, 0.0), "--o", folder / "job")
        figures.append(_figures(shared, folder / "job", ("half1.mrc", "half2.mrc")))
    return figures


def _mean(figures, which, stage=0):
    return np.mean([one[stage][which] for one in figures], axis=0)


@pytest.mark.parametrize("angstrom", [48, 38])
def test_random_poses_show_nothing(angstrom, random_figures, claims):
    i = list(SHELLS).index(angstrom)
    figure = float(np.mean([one[0][i] for one in random_figures]))
    claims.measured(f"random poses: half-set FSC at {angstrom} Å", figure, at_least=-0.15, at_most=0.15)


def _claim(claims, start, what, angstrom, which, bar, figures, given, control):
    i = list(SHELLS).index(angstrom)
    claims.measured(
        f"{start}: {what} at {angstrom} Å",
        float(_mean(figures, which)[i]),
        at_least=bar[angstrom],
        oracle=float(_mean(given, which, stage=1)[i]),
        null=float(np.mean([one[which][i] for one in control])),
    )


@pytest.mark.parametrize("angstrom", [64, 48, 38])
def test_given_poses_halves(angstrom, given_figures, random_figures, claims):
    _claim(claims, "given poses", "half-set FSC", angstrom, 0, HALVES_BAR, given_figures, given_figures, random_figures)


@pytest.mark.parametrize("angstrom", [64, 48, 38])
def test_given_poses_map(angstrom, given_figures, random_figures, claims):
    _claim(claims, "given poses", "FSC with RELION's map", angstrom, 1, MAP_BAR, given_figures, given_figures, random_figures)


@pytest.mark.parametrize("angstrom", [64, 48, 38])
def test_perturbed_poses_halves(angstrom, perturbed_figures, given_figures, shared_reference_figures, claims):
    _claim(claims, "perturbed poses", "half-set FSC", angstrom, 0, HALVES_BAR, perturbed_figures, given_figures, shared_reference_figures)


@pytest.mark.parametrize("angstrom", [64, 48, 38])
def test_perturbed_poses_map(angstrom, perturbed_figures, given_figures, shared_reference_figures, claims):
    _claim(
        claims, "perturbed poses", "FSC with RELION's map", angstrom, 1, MAP_BAR, perturbed_figures, given_figures, shared_reference_figures
    )
