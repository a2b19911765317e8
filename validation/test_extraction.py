"""Pseudo-subtomograms and 2D stacks against RELION 5.0.1's own."""

from __future__ import annotations

import mrcfile
import numpy as np
import pytest

from commands import tomobayes

NAMES = {"TS_01/1": 1, "TS_01/2": 2, "TS_02/1": 1}


def _relative(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.sqrt(np.mean((ours.astype(float) - theirs) ** 2) / np.mean(theirs.astype(float) ** 2)))


@pytest.mark.parametrize("binning", [1, 2])
def test_extract_equals_relion(binning, shared, tmp_path, claims):
    """RELION ran with a box of 96 binned pixels, cropped to 96 (binning 1) or 48 (binning 2)."""
    data = shared / "data/simulated/ribosome"
    common = ["--p", data / "three.star", "--t", data / "tomograms.star", "--box", 96, "--crop", 96 // binning, "--bin", binning]
    for kind, options in (("stacks", ["--stack2d"]), ("subtomograms", [])):
        tomobayes("extract", *common, *options, "--o", tmp_path / kind)
    worst = dict.fromkeys(("stack", "D", "W", "M"), 0.0)
    for name in NAMES:
        theirs = data / f"relion/three_b{binning}_stack/Subtomograms/{name}_stack2d.mrcs"
        ours = mrcfile.read(tmp_path / f"stacks/Subtomograms/{name}_stack2d.mrcs")
        worst["stack"] = max(worst["stack"], _relative(ours, mrcfile.read(theirs)))
        folder = data / f"relion/three_b{binning}/Subtomograms"
        if not (folder / f"{name}_data.mrc").exists():
            continue
        here = tmp_path / "subtomograms/Subtomograms"
        worst["D"] = max(worst["D"], _relative(mrcfile.read(here / f"{name}_data.mrc"), mrcfile.read(folder / f"{name}_data.mrc")))
        weights, reference = (mrcfile.read(where / f"{name}_weights.mrc") for where in (here, folder))
        half = len(reference) // 2
        worst["W"] = max(worst["W"], _relative(weights[:half], reference[:half]))
        worst["M"] = max(worst["M"], _relative(weights[half:], reference[half:]))
    for what, figure in worst.items():
        claims.measured(f"binning {binning}: rms difference of {what} from RELION's, relative", figure, at_most=0.01)


def test_read_back_by_the_program(shared, tmp_path, claims):
    """What extract writes is what refine reads: the same particles, frames and visible tilts."""
    from tomobayes.formats.relion import read_dataset

    data = shared / "data/simulated/ribosome"
    tomobayes("extract", "--p", data / "three.star", "--t", data / "tomograms.star", "--box", 48, "--bin", 2, "--o", tmp_path / "job")
    written = read_dataset(tmp_path / "job/optimisation_set.star")
    given = read_dataset(particles=data / "three.star", tomograms=data / "tomograms.star")
    drift = np.abs(written.particles.centre_angstrom - given.particles.centre_angstrom).max()
    claims.measured("largest change of a particle's centre by extraction, Å", float(drift), at_most=1e-3)
