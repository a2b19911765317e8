"""Masks enclose what they should, in a folder or as one file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from phantoms import ball

from tomobayes.cli import main
from tomobayes.formats.mrc import read_map, write_map
from tomobayes.model import Map


@pytest.fixture
def ball_file(project) -> Path:
    write_map(project / "ball.mrc", Map(ball(), 4.0))
    return project / "ball.mrc"


def test_mask_encloses_the_density(ball_file):
    assert (
        main(["mask", "--i", str(ball_file), "--lowpass", "0", "--extend-inimask-px", "1", "--width-soft-edge-px", "3", "--o", "here"]) == 0
    )
    mask = read_map("here/mask.mrc")
    inside = ball() > 0.5
    assert mask.pixel_size_angstrom == pytest.approx(4.0)
    assert mask.data[inside].min() == 1.0
    assert mask.data[ball(diameter_px=20) < 0.5].max() == 0.0
    assert mask.data[(mask.data > 0) & (mask.data < 1)].size > 0


def test_single_file_needs_no_folder(ball_file, capsys):
    words = ["mask", "--i", str(ball_file), "--o", "mask.mrc"]
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "mask.mrc"
    assert {path.name for path in Path().iterdir()} == {"ball.mrc", "mask.mrc"}
    assert main(words) == 2
    assert "already there" in capsys.readouterr().err
    assert main([*words, "--overwrite"]) == 0


def test_sphere_has_its_diameter():
    assert main(["mask", "--sphere-diameter", "48", "--box", "24", "--angpix", "4", "--width-soft-edge-px", "0", "--o", "s.mrc"]) == 0
    volume = float((read_map("s.mrc").data > 0.5).sum())
    assert volume == pytest.approx(np.pi / 6 * 12**3, rel=0.05)


@pytest.mark.parametrize(("threshold", "word"), [("5", "nowhere"), ("-1", "everywhere")])
def test_useless_threshold_is_refused(ball_file, threshold, word, capsys):
    assert main(["mask", "--i", str(ball_file), "--lowpass", "0", "--ini-threshold", threshold]) == 2
    error = capsys.readouterr().err
    assert f"the density is {word} above --ini-threshold {threshold}" in error and "highest is 1" in error
    assert not Path("MaskCreate").exists()
