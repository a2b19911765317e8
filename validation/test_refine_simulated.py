"""Refinement of simulated ribosomes from picked positions, without angles, with a 50 Å reference."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from commands import fsc_curve, mean_fsc, read_json, save_like, tomobayes
from scaling import command
from test_reconstruct import with_random_angles
from tomobayes.formats.mrc import read_map
from tomobayes.maps.resampling import fourier_resample

DIAMETER = 270
RADIUS_PX = 36
UNFILTERED = 20
"""Shell, of 48 voxels of 8 Å, short of where a refinement low-passes its map."""


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("refine")


@pytest.fixture(scope="module")
def refined(work, shared):
    """Folder of the global refinement on tilt images."""
    data = shared / "data/simulated/ribosome"
    folder = work / "series"
    tomobayes(
        *("refine", "--i", data / "optimisation_set_picked.star", "--ref", data / "ref_50A_bin2.mrc"),
        *("--particle-diameter", DIAMETER, "--o", folder),
    )
    return folder


def _claim_poses(engine, folder, shared, check, claims):
    truth = shared / "data/simulated/ribosome/particles_truth.star"
    found = read_json(check("pose_error.py", folder / "run_data.star", truth, "--json"))
    within = float((Rotation.random(100_000, random_state=0).magnitude() < np.radians(10)).mean())
    claims.measured(f"{engine}: particles within 10° of the truth", found["within_10deg"], at_least=0.97, null=within)
    claims.measured(f"{engine}: median angular error, °", found["angle_median"], at_most=1.0, oracle=0.3)
    claims.measured(f"{engine}: median shift error, Å", found["shift_median"], at_most=2.0, oracle=0.7)


def test_tilt_images(refined, shared, check, claims):
    _claim_poses("tilt images", refined, shared, check, claims)


def test_map_of_all_images(refined, work, shared, check, claims):
    """It is expected where the particle is, which the mean of its half-maps is not; in voxels of 8 Å."""
    data, halves = shared / "data/simulated/ribosome", [read_map(refined / f"run_half{half}_class001_unfil.mrc") for half in (1, 2)]
    whole = fourier_resample(read_map(data / "truth_class1.mrc").data, halves[0].box)
    truth = save_like(work / "truth.mrc", whole, refined / "run_class001.mrc")
    mean = save_like(work / "mean.mrc", (halves[0].data + halves[1].data) / 2, truth)
    poses = {
        "true": ("--i", data / "optimisation_set.star"),
        "random": ("--p", with_random_angles(data, work), "--t", data / "tomograms.star"),
    }
    for name, given in poses.items():
        tomobayes("reconstruct", *given, "--particle-diameter", DIAMETER, "--box", 48, "--bin", 2, "--o", work / f"binned_{name}")
    found, bar, oracle, null = (
        float(fsc_curve(shared, one, truth, RADIUS_PX // 2)[1 : UNFILTERED + 1].mean())
        for one in (refined / "run_class001.mrc", mean, work / "binned_true/merged.mrc", work / "binned_random/merged.mrc")
    )
    told = "mean FSC to the truth up to 19 Å, at least that of the mean of the half-maps"
    claims.measured(told, found, at_least=bar, oracle=oracle, null=null)


@pytest.mark.long
def test_as_good_as_relion_in_a_thirtieth_of_its_time(work, shared, check, claims):
    """RELION 5.0.1's accelerated CPU path, given the true positions: 157 CPU minutes, 0.48° median and 0.90° for 90 %, 0.36 Å."""
    data, folder = shared / "data/simulated/ribosome", work / "timed"
    truth = data / "truth_class1.mrc"
    given = ("--i", data / "optimisation_set_picked.star", "--ref", data / "ref_50A_bin2.mrc", "--particle-diameter", DIAMETER)
    _, seconds, log = command("refine", *given, folder=folder)
    assert "Converged" in (folder / "report.json").read_text(), log
    claims.measured("CPU minutes until converged", seconds / 60, at_most=5, null=157)
    found, start = (
        read_json(check("pose_error.py", one, data / "particles_truth.star", "--json"))
        for one in (folder / "run_data.star", data / "particles_picked.star")
    )
    claims.measured("median angular error, °", found["angle_median"], at_most=0.48, oracle=0.3, null=start["angle_median"])
    claims.measured("angular error of 90 %, °", found["angle_p90"], at_most=0.90, null=start["angle_p90"])
    claims.measured("median shift error, Å", found["shift_median"], at_most=0.7, oracle=0.7, null=start["shift_median"])
    random = ("--p", with_random_angles(data, work), "--t", data / "tomograms.star")
    for name, poses in (("found", ("--i", folder)), ("true", ("--i", data / "optimisation_set.star")), ("random", random)):
        tomobayes("reconstruct", *poses, "--box", 96, "--bin", 1, "--o", work / f"map_{name}")
    mean = {name: mean_fsc(check, work / f"map_{name}/merged.mrc", truth, RADIUS_PX) for name in ("found", "true", "random")}
    what = "mean FSC to the truth of the map from these poses"
    claims.measured(what, mean["found"], at_least=mean["true"] - 0.01, oracle=mean["true"], null=mean["random"])


@pytest.mark.long
def test_unbinned_reaches_the_oracle(refined, work, shared, check, claims):
    """Going on without binning, the map is as good as from the true poses."""
    data = shared / "data/simulated/ribosome"
    truth = data / "truth_class1.mrc"
    tomobayes(
        *("refine", "--i", refined, "--box", 96, "--bin", 1, "--sigma-ang", 1, "--offset-range", 4, "--offset-sigma", 5),
        *("--particle-diameter", DIAMETER, "--o", work / "unbinned"),
    )
    tomobayes("reconstruct", "--i", work / "unbinned", "--box", 96, "--o", work / "refined_poses")
    tomobayes("reconstruct", "--i", data / "optimisation_set.star", "--box", 96, "--o", work / "true_poses")
    tomobayes("reconstruct", "--i", refined, "--box", 96, "--bin", 1, "--o", work / "binned_poses")
    oracle = mean_fsc(check, work / "true_poses/merged.mrc", truth, RADIUS_PX)
    claims.measured(
        "mean FSC of the unbinned map to the truth",
        mean_fsc(check, work / "refined_poses/merged.mrc", truth, RADIUS_PX),
        at_least=oracle - 0.01,
        oracle=oracle,
    )
    claims.measured("the same from the binned refinement's poses", mean_fsc(check, work / "binned_poses/merged.mrc", truth, RADIUS_PX))


@pytest.mark.long
def test_pseudo_subtomograms(work, refined, shared, check, claims):
    """The other engine on the same particles, and how far apart the two put them."""
    data = shared / "data/simulated/ribosome"
    tomobayes("extract", "--i", data / "optimisation_set_picked.star", "--box", 64, "--crop", 48, "--bin", 2, "--o", work / "extract")
    tomobayes(
        *("refine", "--i", work / "extract", "--ref", data / "ref_50A_bin2.mrc"),
        *("--particle-diameter", DIAMETER, "--o", work / "subtomograms"),
    )
    _claim_poses("pseudo-subtomograms", work / "subtomograms", shared, check, claims)
    apart = read_json(check("pose_error.py", work / "subtomograms/run_data.star", refined / "run_data.star", "--json"))
    claims.measured("median angle between the two engines' poses, °", apart["angle_median"], at_most=1.0)
