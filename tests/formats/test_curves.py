"""FSC curves, models and MTFs in STAR files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tomobayes.formats.relion_model import ClassModel, RefinementModel, write_model
from tomobayes.formats.relion_postprocess import read_fsc, read_mtf, write_postprocess
from tomobayes.formats.star import read_star
from tomobayes.maps.postprocess import postprocess
from tomobayes.model import BadInput


def test_relions_own_files_are_read(shared: Path) -> None:
    fsc = read_fsc(shared / "data/simulated/ribosome_errors/relion/pp/run.star")
    assert len(fsc) == 49 and fsc[2] == 0.993232
    gold = read_fsc(shared / "data/empiar10164/Refine3D/job074/run_model.star")
    assert len(gold) == 97 and gold[10] == 0.996939


def test_every_mtf_is_read(shared: Path) -> None:
    for path in sorted((shared / "data/mtf").glob("*.star")):
        mtf = read_mtf(path, 0.675)
        assert mtf.frequency_per_pixel[0] == 0 and mtf.value[0] == pytest.approx(1, abs=1e-3) and mtf.pixel_size_angstrom == 0.675


def test_postprocess_star_has_relions_tables_and_labels(shared: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    signal = np.zeros((24, 24, 24), dtype=np.float32)
    signal[8:16, 8:16, 8:16] = 5
    halves = [signal + rng.normal(size=signal.shape).astype(np.float32) for _ in range(2)]
    result = postprocess(*halves, 4.0, mask=np.ones_like(signal))
    write_postprocess(tmp_path / "p.star", result, {"rlnMaskName": "mask.mrc"})
    ours, theirs = read_star(tmp_path / "p.star"), read_star(shared / "data/simulated/ribosome_errors/relion/pp/run.star")
    assert list(ours) == list(theirs) == ["general", "fsc", "guinier"]
    for table in ours:
        assert set(ours[table].columns) <= set(theirs[table].columns) | {"rlnLogAmplitudesMTFCorrected"}
    np.testing.assert_allclose(read_fsc(tmp_path / "p.star"), result.curves.corrected, atol=1e-6)
    resolution = [tables["fsc"].columns["rlnAngstromResolution"][:3].astype(float) for tables in (ours, theirs)]
    np.testing.assert_allclose(resolution[0], [999, 96, 48])
    np.testing.assert_allclose(resolution[1], [999, 384, 192])


def test_model_star_is_laid_out_as_relions(shared: Path, tmp_path: Path) -> None:
    theirs = read_star(shared / "data/empiar10164/Refine3D/job074/run_model.star")
    spectrum = theirs["model_class_1"].columns
    values = {label: spectrum[label].astype(float) for label in spectrum}
    one = ClassModel(
        "run_class001.mrc",
        3.55,
        values["rlnSsnrMap"],
        values["rlnReferenceSigma2"],
        values["rlnReferenceTau2"],
        values["rlnGoldStandardFsc"],
    )
    noise = theirs["model_optics_group_1"].columns["rlnSigma2Noise"].astype(float)
    write_model(tmp_path / "m.star", RefinementModel(192, 1.35, 192, [one], {"optics1": noise}))
    ours = read_star(tmp_path / "m.star")
    for table in ("model_class_1", "model_optics_group_1"):
        for label, cells in ours[table].columns.items():
            np.testing.assert_allclose(cells.astype(float), theirs[table].columns[label].astype(float), rtol=1e-5, err_msg=label)
    assert set(ours["model_general"].columns) <= set(theirs["model_general"].columns)
    np.testing.assert_allclose(read_fsc(tmp_path / "m.star"), values["rlnGoldStandardFsc"])


@pytest.mark.parametrize("read", [read_fsc, lambda path: read_mtf(path, 1.0)])
def test_files_without_curves_are_refused(tmp_path: Path, read: object) -> None:
    (tmp_path / "a.star").write_text("data_a\n_rlnA 1\n")
    with pytest.raises(BadInput, match=r"a\.star: has no") as caught:
        read(tmp_path / "a.star")  # type: ignore[operator]
    assert caught.value.problems[0].remedy
