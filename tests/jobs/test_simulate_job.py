"""A simulated project is a project: readable, repeatable, with its truth beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tomobayes.cli import main
from tomobayes.formats.mrc import read_map, write_map
from tomobayes.formats.relion import read_dataset
from tomobayes.model import Map

SMALL = {
    "--model": "builtin:apoferritin", "--angpix": "8", "--n-series": "1", "--n-particles": "3", "--image-size-px": "96 80",
    "--tilt-min": "-20", "--tilt-max": "20", "--tilt-step": "20", "--min-distance": "100", "--thickness": "300",
}  # fmt: skip


def small(**options: str) -> list[str]:
    """A few tiny images, with other options by name."""
    chosen = SMALL | {f"--{name.replace('_', '-')}": value for name, value in options.items()}
    return ["simulate", *(word for option, value in chosen.items() for word in (option, *value.split()))]


def test_project_holds_images_and_truth():
    assert main(small(pose_error="5", position_error="4", o="sim")) == 0
    written, truth = read_dataset("sim"), read_dataset("sim", particles="sim/particles_truth.star")
    series = written.tilt_series[0]
    assert series.images is not None and series.images.shape == (3, 80, 96)
    assert series.images.read(0).dtype == np.int8
    assert series.images.read(1).std() == pytest.approx(20, rel=0.2)
    off = written.particles.centre_angstrom - truth.particles.centre_angstrom
    assert 1 < np.abs(off).mean() < 8
    assert not np.allclose(written.particles.rotation, truth.particles.rotation)
    assert read_map("sim/truth_class1.mrc").pixel_size_angstrom == pytest.approx(8)
    with np.load("sim/TS_01_truth.npz") as kept:
        assert kept["motion"].shape == (3, 3, 3)
        np.testing.assert_allclose(np.sort(kept["tilt"]), [-20, 0, 20], atol=1e-4)


def test_seed_decides_and_a_stopped_run_goes_on_to_the_same_images():
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert main(small(n_series="2", seed=seed, o=name)) == 0
    content = {name: Path(name, "TS_02.mrcs").read_bytes()[1024:] for name in "abc"}
    assert content["a"] == content["b"] != content["c"]
    for name in ("TS_02.mrcs", "RELION_JOB_EXIT_SUCCESS", "optimisation_set.star"):
        Path("b", name).unlink()
    kept = Path("b/TS_01.mrcs").stat().st_mtime_ns
    assert main(["simulate", "--o", "b", "--continue"]) == 0
    assert Path("b/TS_02.mrcs").read_bytes()[1024:] == content["a"]
    assert Path("b/TS_01.mrcs").stat().st_mtime_ns == kept


def test_picked_particles_have_no_angles():
    assert main(small(no_angles="", o="sim")) == 0
    np.testing.assert_allclose(read_dataset("sim").particles.rotation, np.tile(np.eye(3), (3, 1, 1)), atol=1e-6)


def test_experiment_can_be_imitated_with_several_classes():
    assert main(small(o="first")) == 0
    write_map("cube.mrc", Map(np.pad(np.ones((6, 6, 6), np.float32), 5), 8.0))
    words = ["simulate", "--i", "first", "--model", "builtin:apoferritin", "cube.mrc", "--populations", "2", "1", "--o", "again"]
    assert main(words) == 0
    first, again = read_dataset("first"), read_dataset("again", particles="again/particles_truth.star")
    np.testing.assert_allclose(again.particles.rotation, first.particles.rotation, atol=1e-5)
    np.testing.assert_allclose(again.tilt_series[0].defocus_u_angstrom, first.tilt_series[0].defocus_u_angstrom, atol=0.1)
    assert sorted(again.particles.class_number.tolist()) == [1, 1, 2]
    assert replace(read_map("again/truth_class2.mrc")).box == read_map("again/truth_class1.mrc").box


def test_what_is_planted_is_true_but_not_written():
    """The optimisation set in truth/ is what an oracle is given; nothing of it is in the project a user sees."""
    planted = {
        "trefoil": "60", "coma": "40", "tetrafoil": "30", "aniso_magnification": "0.5", "deformation": "spline", "deformation_rms": "6",
        "deformation_grid": "3 2", "deformation_per_tilt": "", "motion": "2", "motion_kernel": "exponential", "motion_correlation": "300",
        "astigmatism_error": "300", "scale_error": "0.1", "luminance": "0.8", "ice_tilt": "4",
    }  # fmt: skip
    assert main(small(**planted, o="sim")) == 0
    written, truth = read_dataset("sim"), read_dataset("sim/truth")
    told, true = written.tilt_series[0], truth.tilt_series[0]
    assert written.optics[0].odd_zernike == written.optics[0].even_zernike == () and written.motion_angstrom is None
    assert told.deformation is None and not [label for label in told.globals_ if "Ice" in label or "Deformation" in label]
    assert written.optics[0].magnification == ((1, 0), (0, 1)) != truth.optics[0].magnification
    assert len(truth.optics[0].odd_zernike) == 6 and len(truth.optics[0].even_zernike) == 9
    assert true.deformation is not None and true.deformation.coefficients.shape == (3, 48)
    assert true.images is not None and told.images is not None
    np.testing.assert_array_equal(true.images.read(1), told.images.read(1))
    assert float(true.globals_["rlnTomoRelativeLuminance"]) == pytest.approx(0.8)
    with np.load("sim/TS_01_truth.npz") as kept:
        np.testing.assert_allclose(kept["scale"], true.scale, atol=1e-6)
        np.testing.assert_allclose(kept["astigmatism"], true.defocus_u_angstrom - true.defocus_v_angstrom, atol=1e-2)
        assert np.abs(told.defocus_u_angstrom - told.defocus_v_angstrom - kept["astigmatism"]).max() > 30
        assert np.abs(np.log(told.scale / kept["scale"])).max() > 0.02
        np.testing.assert_allclose(kept["motion"], np.array(truth.motion_angstrom), atol=1e-5)


def test_scale_may_be_left_to_be_found():
    assert main(small(no_scale="", o="sim")) == 0
    assert (read_dataset("sim").tilt_series[0].scale == 1).all() and (read_dataset("sim/truth").tilt_series[0].scale < 1).any()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n_particles": "500"}, "of 500 particles fit into"),
        ({"model": "builtin:virus"}, "there is no such model"),
        ({"model": "none.cif"}, "none.cif: no atomic model could be read"),
        ({"box": "8"}, "the models need a box of at least"),
        ({"noise": "none.txt"}, "none.txt: no noise spectrum could be read"),
        ({"populations": "1 2"}, "--populations needs one number per class: 1, not 2"),
        ({"i": "somewhere"}, "with --i the experiment says what --n-series, --n-particles"),
        ({"scheme": "random"}, "--scheme should be 'dose-symmetric', 'continuous' or 'bidirectional', not 'random'"),
        ({"deformation_rms": "3"}, "--deformation-rms would change nothing: ask for --deformation too"),
        ({"motion_kernel": "exponential"}, "--motion-kernel would change nothing: ask for --motion too"),
        ({"deformation": "affine", "deformation_grid": "4 4"}, "an affine deformation has no grid"),
        ({"no_scale": "", "scale_error": "0.1"}, "--no-scale leaves no scale"),
        ({"tilt_max": "-25"}, "--tilt-max must be at least one --tilt-step above --tilt-min"),
    ],
)
def test_impossible_wishes_are_refused(options, sentence, capsys):
    assert main(small(**options, o="sim")) == 2
    assert sentence in capsys.readouterr().err
    assert not Path("sim").exists()


def test_images_that_do_not_fit_into_memory_are_not_begun(capsys, monkeypatch):
    import tomobayes.jobs.simulate as job

    monkeypatch.setattr(job, "available_bytes", lambda: 1e6)
    assert main(small(o="sim")) == 2
    assert "GB of memory, and 0.0 GB are available" in capsys.readouterr().err
    assert not Path("sim").exists()
