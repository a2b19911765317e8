"""Reconstruction from true poses against RELION's and against the truth."""

from __future__ import annotations

import numpy as np

from commands import fsc_curve, mean_fsc, tomobayes

RADIUS_PX = 36


def test_halves_agree_with_relion(shared, tmp_path, claims):
    """With RELION's own crop every shell to 0.7 Nyquist agrees; the null is RELION's other half, which shares no image."""
    data = shared / "data/simulated/ribosome"
    tomobayes("reconstruct", "--i", data / "optimisation_set.star", "--box", 96, "--extract-box", 96, "--o", tmp_path / "job")
    for half in ("half1", "half2"):
        curve = fsc_curve(shared, tmp_path / f"job/{half}.mrc", data / f"relion/{half}.mrc", RADIUS_PX)
        other = fsc_curve(shared, tmp_path / f"job/{half}.mrc", data / f"relion/half{3 - int(half[-1])}.mrc", RADIUS_PX)
        last = int(0.7 * 48)
        claims.measured(
            f"{half}: lowest FSC with RELION's to 0.7 Nyquist",
            float(curve[1 : last + 1].min()),
            at_least=0.9,
            null=float(other[1 : last + 1].min()),
        )


def test_larger_crop_brings_signal_home(shared, check, tmp_path, claims):
    """Mean FSC of the merged map to the truth, above RELION's 0.644; the null has every particle turned at random."""
    data = shared / "data/simulated/ribosome"
    truth = data / "truth_class1.mrc"
    tomobayes("reconstruct", "--i", data / "optimisation_set.star", "--box", 96, "--o", tmp_path / "job")
    random = with_random_angles(data, tmp_path)
    tomobayes("reconstruct", "--p", random, "--t", data / "tomograms.star", "--box", 96, "--o", tmp_path / "null")
    relion = mean_fsc(check, data / "relion/merged.mrc", truth, RADIUS_PX)
    claims.measured(
        "mean FSC of the merged map to the truth",
        mean_fsc(check, tmp_path / "job/merged.mrc", truth, RADIUS_PX),
        at_least=relion,
        null=mean_fsc(check, tmp_path / "null/merged.mrc", truth, RADIUS_PX),
    )
    claims.measured("RELION's", relion)


def test_where_the_particle_is_tells_of_it(shared, check, tmp_path, claims):
    """Mean FSC of the merged map to the truth with a diameter, at least that without; the null has every particle turned at random."""
    data = shared / "data/simulated/ribosome"
    truth, diameter = data / "truth_class1.mrc", ("--particle-diameter", 270)
    tomobayes("reconstruct", "--i", data / "optimisation_set.star", "--box", 96, "--o", tmp_path / "without")
    tomobayes("reconstruct", "--i", data / "optimisation_set.star", "--box", 96, *diameter, "--o", tmp_path / "job")
    random = with_random_angles(data, tmp_path)
    tomobayes("reconstruct", "--p", random, "--t", data / "tomograms.star", "--box", 96, *diameter, "--o", tmp_path / "null")
    found = {name: mean_fsc(check, tmp_path / name / "merged.mrc", truth, RADIUS_PX) for name in ("job", "without", "null")}
    claims.measured("mean FSC of the merged map to the truth, diameter given", found["job"], at_least=found["without"], null=found["null"])
    claims.measured("the same without", found["without"])
    halves = [fsc_curve(shared, tmp_path / name / "half1.mrc", tmp_path / name / "half2.mrc", RADIUS_PX) for name in ("job", "without")]
    claims.measured("largest change of the half-maps' FSC", float(abs(halves[0] - halves[1]).max()), at_most=0.05)


def with_random_angles(data, folder):
    import starfile

    tables = starfile.read(data / "particles.star")
    generator = np.random.default_rng(0)
    count = len(tables["particles"])
    tables["particles"]["rlnAngleRot"] = generator.uniform(-180, 180, count)
    tables["particles"]["rlnAngleTilt"] = np.degrees(np.arccos(generator.uniform(-1, 1, count)))
    tables["particles"]["rlnAnglePsi"] = generator.uniform(-180, 180, count)
    starfile.write(tables, folder / "random.star")
    return folder / "random.star"
