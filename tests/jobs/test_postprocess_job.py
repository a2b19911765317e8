"""Resolution, sharpening and what goes wrong with half-maps and masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from phantoms import ball

from tomobayes.cli import main
from tomobayes.formats.mrc import read_map, write_map
from tomobayes.formats.relion_postprocess import read_fsc
from tomobayes.formats.star import read_star
from tomobayes.maps.fsc import fsc
from tomobayes.model import Map


@pytest.fixture
def mask(halves) -> Path:
    main(["mask", "--sphere-diameter", "64", "--box", "24", "--angpix", "4", "--width-soft-edge-px", "3", "--o", "mask.mrc"])
    return Path("mask.mrc")


def test_unmasked_fsc_is_that_of_the_maps(halves):
    assert main(["postprocess", "--i", ".", "--o", "here"]) == 0
    assert "not sharpened: too coarse" in Path("here/report.html").read_text()
    expected = fsc(*(read_map(path).data for path in halves))
    np.testing.assert_allclose(read_fsc("here/postprocess.star"), expected, atol=1e-5)
    assert not Path("here/postprocess_masked.mrc").exists()


def test_masked_run_writes_everything(halves, mask):
    assert main(["postprocess", "--half1", str(halves[0]), "--half2", str(halves[1]), "--mask", str(mask), "--o", "here"]) == 0
    sharpened, masked = read_map("here/postprocess.mrc"), read_map("here/postprocess_masked.mrc")
    np.testing.assert_allclose(masked.data, sharpened.data * read_map(mask).data, atol=1e-4)
    general = read_star("here/postprocess.star")["general"].columns
    assert general["rlnMaskName"][0] == "mask.mrc"
    assert 8 <= float(general["rlnFinalResolution"][0]) < 96


def test_given_b_factor_scales_shells_as_it_says(halves):
    for name, b_factor in (("flat", "0"), ("sharp", "-200")):
        assert main(["postprocess", "--i", ".", "--adhoc-bfac", b_factor, "--skip_fsc_weighting", "--o", name]) == 0
    flat, sharp = (np.abs(np.fft.rfftn(read_map(f"{name}/postprocess.mrc").data)) for name in ("flat", "sharp"))
    np.testing.assert_allclose(flat, np.abs(np.fft.rfftn(np.mean([read_map(path).data for path in halves], axis=0))), rtol=1e-3, atol=1e-2)
    k = 6 / (24 * 4.0)
    assert sharp[6, 0, 0] / flat[6, 0, 0] == pytest.approx(np.exp(200 / 4 * k**2), rel=1e-3)


def test_report_says_that_nothing_agrees(halves, project):
    random = np.random.default_rng(3)
    for path in halves:
        write_map(path, Map(random.normal(size=(24, 24, 24)).astype(np.float32), 4.0))
    assert main(["postprocess", "--i", ".", "--o", "here"]) == 0
    assert "Resolution (FSC 0.143)" in Path("here/report.html").read_text()
    assert float(read_star("here/postprocess.star")["general"].columns["rlnFinalResolution"][0]) > 20


def problem(words: list[str], capsys) -> str:
    assert main(["postprocess", *words]) == 2
    assert not Path("PostProcess").exists()
    return capsys.readouterr().err


def test_faulty_maps_and_masks_are_refused_by_name(halves, mask, capsys):
    small, other = Path("small_half2.mrc"), Path("density.mrc")
    write_map(small, Map(ball(16), 5.0))
    write_map(other, Map(ball() * 3, 4.0))
    first = ["--half1", str(halves[0])]
    error = problem([*first, "--half2", str(small)], capsys)
    assert "small_half2.mrc: has a box of 16 voxels" in error and "voxels of 5 Å" in error
    assert "is the same map" in problem([*first, "--half2", str(halves[0])], capsys)
    assert "density.mrc: the mask has values from 0 to 3" in problem(["--i", ".", "--mask", "density.mrc"], capsys)
    assert "--sym" in problem(["--i", ".", "--sym", "X9"], capsys)
    assert "does not say which half" in problem(["--i", "density.mrc"], capsys)
    assert "none.star" in problem(["--i", ".", "--mtf", "none.star"], capsys)


def test_truncated_half_map_is_refused(halves, capsys):
    content = halves[1].read_bytes()
    halves[1].write_bytes(content[:-1000])
    assert "half2.mrc" in problem(["--i", "."], capsys)
