"""``subtract``: a set of particles whose images lack a part, for every verb that reads it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tomobayes.cli import main
from tomobayes.formats.mrc import read_map, write_map
from tomobayes.formats.relion import read_dataset, write_dataset
from tomobayes.formats.star import read_star
from tomobayes.jobs.describe import describe
from tomobayes.maps.masks import sphere_mask
from tomobayes.model import Map, Reference

WHOLE = ["--particle-diameter", "250", "--box", "24", "--j", "1"]


@pytest.fixture
def whole(tiny) -> Path:
    """True poses in half-sets, and half-maps of them; mask.mrc is a sphere off the middle."""
    dataset = read_dataset(tiny, particles=tiny / "particles_truth.star")
    half = 1 + np.arange(len(dataset.particles)) % 2
    write_dataset("halved", dataset.with_particles(replace(dataset.particles, half=half)))
    assert main(["reconstruct", "--i", "halved", *WHOLE, "--o", "whole"]) == 0
    mask = np.roll(sphere_mask(24, 6, 2), (0, 2, 4), (0, 1, 2))
    write_map("mask.mrc", Map(mask, 16.0))
    return Path("whole")


def power(path: str, inside: bool) -> float:
    mask = read_map("mask.mrc").data
    return float(np.square(read_map(path).data * (mask if inside else sphere_mask(24, 12, 3) * (1 - mask))).mean())


def test_what_is_outside_the_mask_is_gone_from_maps_made_of_the_set(whole):
    assert main(["subtract", "--i", "whole", "--mask", "mask.mrc", "--o", "less"]) == 0
    assert main(["reconstruct", "--i", "less", *WHOLE, "--o", "again"]) == 0
    assert power("again/merged.mrc", inside=False) < 0.1 * power("whole/merged.mrc", inside=False)
    assert power("again/merged.mrc", inside=True) > 0.7 * power("whole/merged.mrc", inside=True)


def test_subtraction_goes_along_with_every_verb(whole):
    """Selected and turned particles still know where their signal was; extracted images have it gone, and say no more of it."""
    assert main(["subtract", "--i", "whole", "--mask", "mask.mrc", "--o", "less"]) == 0
    assert main(["select", "--i", "less", "--tilt-series", "TS_01", "--o", "some"]) == 0
    some, less = read_dataset("some"), read_dataset("less")
    assert any("subtracted" in sentence for sentence in describe(some).sentences)
    assert some.subtraction is not None and some.particles.subtracted_rotation is not None
    kept = less.particles.tilt_series == 0
    np.testing.assert_allclose(some.particles.subtracted_rotation, less.particles.subtracted_rotation[kept], atol=1e-6)
    assert main(["extract", "--i", "less", "--box", "24", "--stack2d", "--j", "1", "--o", "cut"]) == 0
    assert read_dataset("cut").subtraction is None
    assert not any("Subtracted" in label for label in read_star("cut/particles.star")["particles"].columns)
    assert main(["reconstruct", "--i", "cut", *WHOLE[:2], "--j", "1", "--o", "of_cut"]) == 0
    assert power("of_cut/merged.mrc", inside=False) < 0.25 * power("whole/merged.mrc", inside=False)


def test_recentred_particles_are_around_the_part(whole):
    assert main(["subtract", "--i", "whole", "--mask", "mask.mrc", "--recentre", "--o", "less"]) == 0
    before, after = read_dataset("halved").particles, read_dataset("less")
    away = before.rotation @ np.array([4.0, 2.0, 0.0]) * 16
    np.testing.assert_allclose(after.particles.centre_angstrom, before.centre_angstrom + away, atol=0.1)
    np.testing.assert_allclose(after.particles.subtracted_centre_angstrom, before.centre_angstrom, atol=1e-4)
    assert after.reference == Reference()
    assert main(["reconstruct", "--i", "less", "--particle-diameter", "160", "--box", "12", "--j", "1", "--o", "again"]) == 0
    found = read_map("again/merged.mrc").data
    whole_map, mask = read_map("whole/merged.mrc").data, read_map("mask.mrc").data
    part = (whole_map * mask)[6:18, 8:20, 10:22]
    around = whole_map[6:18, 8:20, 10:22]
    assert np.corrcoef(found.ravel(), part.ravel())[0, 1] > 0.6
    assert np.corrcoef(found.ravel(), (around - part).ravel())[0, 1] < 0.2


def test_particles_without_their_maps_are_refused(whole, capsys):
    assert main(["subtract", "--i", "whole", "--mask", "mask.mrc", "--o", "less"]) == 0
    assert main(["reconstruct", "--p", "less/particles.star", "--t", "halved/tomograms.star", *WHOLE, "--o", "no"]) == 2
    assert "no optimisation set names its maps" in capsys.readouterr().err
    assert main(["reconstruct", "--i", "less", "--p", "halved/particles.star", *WHOLE, "--o", "no"]) == 2
    assert "lacks the poses" in capsys.readouterr().err
    assert main(["subtract", "--i", "less", "--mask", "mask.mrc", "--o", "no"]) == 2
    assert "subtracted already" in capsys.readouterr().err
    for verb in (["align"], ["refine-ctf", "--do-defocus"]):
        assert main([*verb, "--i", "less", "--particle-diameter", "250", "--j", "1", "--o", "no"]) == 2
        assert "all that particles show" in capsys.readouterr().err
    assert main(["join", "--i", "less", "halved", "--o", "no"]) == 2
    assert "Join the sets first" in capsys.readouterr().err


def test_half_sets_are_needed_to_subtract_half_maps(whole, tiny, capsys):
    words = ["subtract", "--i", "whole", "--p", "sim/particles_truth.star", "--mask", "mask.mrc", "--o", "less"]
    assert main(words) == 2
    assert "neither half-set" in capsys.readouterr().err
    assert main([*words, "--ref", "whole/merged.mrc"]) == 0
    assert read_dataset("less").subtraction is not None
