"""Alignment of tilt images with their particles: against RELION's on the same files, each unknown alone and all together, and nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from commands import mean_fsc, read_json, tomobayes
from test_cycle import with_true_parameters
from tilt_series_scene import DIAMETER, PIXEL, Planted, planted, position_error
from tomobayes.formats.mrc import read_map
from tomobayes.formats.relion import read_dataset, write_dataset
from tomobayes.imaging.views import views_of
from tomobayes.model import Dataset
from tomobayes.tiltseries.aligned import AlignSettings, align_series
from tomobayes.tiltseries.boxes import Cutter
from tomobayes.tiltseries.motion_scales import MotionPlan
from tomobayes.tiltseries.placement import DeformationPlan
from tomobayes.tiltseries.references import from_half_maps

RADIUS_PX = 36
"""Of the sphere in which half-maps of the shared ribosomes are compared."""


def _relative_motion(found: Dataset, truth: list[np.ndarray]) -> float:
    """Correlation of the motion of particles less that of all of them, where the true one exceeds 1 Å, with the true one."""
    pairs = []
    for index, true in enumerate(truth):
        rows = np.flatnonzero(found.particles.tilt_series == index)
        moved = np.zeros_like(true) if found.motion_angstrom is None else np.stack([found.motion_angstrom[row] for row in rows])
        one, two = moved - moved.mean(0), true - true.mean(0)
        far = np.linalg.norm(two, axis=-1) > 1
        pairs.append(np.stack([one[far].ravel(), two[far].ravel()]))
    joined = np.concatenate(pairs, 1)
    return float(np.corrcoef(joined)[0, 1]) if joined[0].any() else 0.0


def _true_motion(folder: Path, names: list[str]) -> list[np.ndarray]:
    return [np.load(folder / f"{name}_truth.npz")["motion"] for name in names]


def test_align_beats_relion_on_the_same_files(shared, check, tmp_path, claims):
    """Wrong shifts and angles, and motion, from RELION's own half-maps; RELION 0.90/1.03 Å, 0.082/0.120°, 16.0 Å."""
    data = shared / "data/simulated/ribosome_errors"
    given = ("--p", data / "particles.star", "--t", data / "tomograms.star", "--mask", data / "mask.mrc", "--particle-diameter", 290)
    halves = ("--ref1", data / "relion/half1.mrc", "--ref2", data / "relion/half2.mrc")
    tomobayes("align", *given, *halves, "--motion", "--o", tmp_path / "out")
    errors = read_json(check("tilt_error.py", data, tmp_path / "out", "--json"))
    relion = read_json(check("tilt_error.py", data, data / "relion/align", "--json"))
    for name, bar in (("TS_01", 0.70), ("TS_02", 0.80)):
        before, after = errors[name]["before"], errors[name]["after"]
        claims.measured(f"{name}: projected positions, Å rms", after["position"], at_most=bar, null=before["position"])
        claims.measured(f"{name}: RELION's", relion[name]["after"]["position"])
        claims.measured(f"{name}: tilt angles, ° rms", after["tilt"], at_most=0.12, null=before["tilt"])
    found = read_dataset(tmp_path / "out")
    motion = _true_motion(data, [series.name for series in found.tilt_series])
    claims.measured("relative motion: correlation with the truth", _relative_motion(found, motion), at_least=0.8)
    claims.measured("RELION's", _relative_motion(read_dataset(None, *_relion_files(data)), motion))
    tomobayes("reconstruct", "--i", tmp_path / "out", "--box", 96, "--o", tmp_path / "map")
    maps = {"": tmp_path / "map", "RELION's": data / "relion/after_align", "before": data / "relion"}
    mean = {who: mean_fsc(check, one / "half1.mrc", one / "half2.mrc", RADIUS_PX) for who, one in maps.items()}
    claims.measured("mean FSC of the half-maps then", mean[""], at_least=mean["RELION's"], null=mean["before"])


@pytest.mark.xfail(strict=True, reason="16.0, wanted < 16.0; true parameters give 16.0 as well: the spectrum has a gap in that shell")
def test_half_maps_then_agree_further_than_relions(shared, check, tmp_path, claims):
    """FSC 0.143, first shell below, of the shared check; RELION's own after its alignment: 16.0 Å. The oracle has all true parameters."""
    data = shared / "data/simulated/ribosome_errors"
    given = ("--p", data / "particles.star", "--t", data / "tomograms.star", "--mask", data / "mask.mrc", "--particle-diameter", 290)
    tomobayes(
        "align", *given, "--ref1", data / "relion/half1.mrc", "--ref2", data / "relion/half2.mrc", "--motion", "--o", tmp_path / "out"
    )
    write_dataset(tmp_path / "true", with_true_parameters(data))
    told = {"RELION's": _agreement(check, data / "relion/after_align"), "null": _agreement(check, data / "relion")}
    for name in ("out", "true"):
        tomobayes("reconstruct", "--i", tmp_path / name, "--box", 96, "--o", tmp_path / f"map_{name}")
        told[name] = _agreement(check, tmp_path / f"map_{name}")
    claims.measured("FSC 0.143 of the half-maps, Å", told["out"], at_most=15.99, oracle=told["true"], null=told["null"])
    claims.measured("RELION's", told["RELION's"])


def _agreement(check, folder: Path) -> float:
    return float(read_json(check("fsc.py", folder / "half1.mrc", folder / "half2.mrc", "--radius", RADIUS_PX, "--json"))["res_0_143"])


def _relion_files(data: Path) -> tuple[Path, Path, Path]:
    return data / "particles.star", data / "tomograms.star", data / "relion/align/motion.star"


def _start_with_true_references(scene: Planted) -> tuple[object, ...]:
    """What is written, compared with half-maps of the true parameters: errors are then those of images and alignment alone."""
    maps = scene.oracle()
    references = ("--ref1", maps / "half1.mrc", "--ref2", maps / "half2.mrc", "--mask", scene.mask, "--references", "given")
    return ("--i", scene.start, "--particle-diameter", DIAMETER, *references)


def _aligned(scene: Planted, out: Path, *options: object) -> tuple[Dataset, Dataset, Dataset]:
    """Found, true and written parameters."""
    tomobayes("align", *_start_with_true_references(scene), *options, "--r", 40, "--o", out)
    return read_dataset(out), read_dataset(scene.truth), read_dataset(scene.start)


@pytest.mark.parametrize("kind", ["affine", "spline", "fourier"])
def test_deformations_are_recovered(kind, tmp_path, claims):
    """5 Å rms, one per tilt series; the null is the alignment without deformation."""
    scene = planted(tmp_path / "sim", "--deformation", kind, "--deformation-rms", 5)
    found, truth, written = _aligned(scene, tmp_path / "out", "--deformation", "--def-model", kind)
    without = _aligned(scene, tmp_path / "without")[0]
    before, after, null = (max(position_error(one, truth)) for one in (written, found, without))
    claims.measured(f"{kind} deformation: projected positions, Å rms", after, at_most=0.8, null=null)
    claims.measured("before", before)


@pytest.mark.parametrize("kernel", ["square-exponential", "exponential"])
def test_motion_is_recovered(kernel, tmp_path, claims):
    """1 Å per tilt; the null is the alignment without motion."""
    scene = planted(tmp_path / "sim", "--motion", 1, "--motion-kernel", kernel, "--motion-correlation", 1000)
    found, truth, written = _aligned(scene, tmp_path / "out", "--motion", "--kernel", kernel)
    without = _aligned(scene, tmp_path / "without")[0]
    before, after, null = (max(position_error(one, truth)) for one in (written, found, without))
    claims.measured(f"{kernel} motion: projected positions, Å rms", after, at_most=0.8, null=null)
    claims.measured("before", before)
    motion = [np.stack([truth.motion_angstrom[row] for row in _rows(truth, index)]) for index in range(2)]
    claims.measured("relative motion: correlation with the truth", _relative_motion(found, motion), at_least=0.8)


def _rows(dataset: Dataset, index: int) -> np.ndarray:
    return np.flatnonzero(dataset.particles.tilt_series == index)


def test_everything_together(tmp_path, claims):
    """Shifts, angles, positions, motion and deformation at once, from half-maps of the wrong parameters; then on from there."""
    errors = ("--shift-error", 4, "--tilt-error", 0.2, "--position-error", 3)
    scene = planted(
        tmp_path / "sim", *errors, "--motion", 0.5, "--motion-correlation", 1000, "--deformation", "affine", "--deformation-rms", 5
    )
    given = ("--i", scene.start, "--mask", scene.mask, "--particle-diameter", DIAMETER, "--r", 40)
    tomobayes("align", *given, "--motion", "--deformation", "--def-model", "affine", "--o", tmp_path / "out")
    truth, oracle = read_dataset(scene.truth), _aligned(scene, tmp_path / "oracle", "--motion", "--deformation", "--def-model", "affine")[0]
    before, after, best = (max(_free_of_origin(one, truth)) for one in (read_dataset(scene.start), read_dataset(tmp_path / "out"), oracle))
    claims.measured("projected positions, Å rms", after, at_most=1.0, null=before, oracle=best)


@pytest.mark.parametrize("planted_too", ["nothing else", "motion", "deformation"])
def test_error_bars_are_honest(planted_too, tmp_path, claims):
    """Errors of projected positions over their standard errors, with maps of the true parameters: χ² per degree of freedom."""
    errors = ("--shift-error", 4, "--tilt-error", 0.2, "--position-error", 3)
    more: dict[str, tuple[object, ...]] = {
        "nothing else": (),
        "motion": ("--motion", 0.5, "--motion-correlation", 1000),
        "deformation": ("--deformation", "affine", "--deformation-rms", 5),
    }
    scene = planted(tmp_path / "sim", *errors, *more[planted_too])
    written, truth = read_dataset(scene.start), read_dataset(scene.truth)
    halves = [read_map(scene.oracle() / f"half{half}.mrc").data for half in (1, 2)]
    references = from_half_maps((halves[0], halves[1]), read_map(scene.mask).data, PIXEL, len(written.particles))
    settings = AlignSettings(
        reach_angstrom=40,
        diameter_angstrom=DIAMETER,
        motion=MotionPlan() if planted_too == "motion" else None,
        deformation=DeformationPlan("affine") if planted_too == "deformation" else None,
    )
    for index, series in enumerate(truth.tilt_series):
        rows = _rows(truth, index)
        first = align_series(written, Cutter(written), rows, references, settings, None, final=False)
        found = align_series(written, Cutter(written), rows, references, settings, first, final=False)
        old, true = (views_of(one, rows).centre_px for one in (written, truth))
        error = found.displacement - (true - old) * series.pixel_size_angstrom
        weighed = torch.linalg.solve(found.uncertainty.displacement, error[..., None])[..., 0]
        claims.measured(
            f"{series.name}: χ² per degree of freedom", 0.5 * float((error * weighed).sum(-1).mean()), at_least=0.7, at_most=1.4
        )
        claims.measured(
            f"{series.name}: positions, Å rms", float(error.square().mean().sqrt()), null=float((true - old).square().mean().sqrt()) * PIXEL
        )


def _free_of_origin(found: Dataset, truth: Dataset) -> list[float]:
    """`position_error` without what a shift of the map in its own frame makes: maps of wrong positions may lie beside the true one."""
    errors = []
    for index, series in enumerate(truth.tilt_series):
        rows = _rows(truth, index)
        places = [views_of(one, rows).centre_px.numpy() for one in (found, truth)]
        error = (places[0] - places[1]) * series.pixel_size_angstrom
        seen = np.einsum("fij,pjk->pfik", series.rotation[:, :2], truth.particles.rotation[rows]).reshape(-1, 3)
        offset, *_ = np.linalg.lstsq(seen, error.ravel())
        errors.append(float(np.sqrt(((error.ravel() - seen @ offset) ** 2).mean())))
    return errors


def test_nothing_moves_where_nothing_is_wrong(tmp_path, claims):
    """True parameters: what the alignment changes, in units of what it could tell."""
    scene = planted(tmp_path / "sim")
    found, truth, _ = _aligned(scene, tmp_path / "out", "--motion")
    error = max(position_error(found, truth))
    claims.measured("projected positions moved, Å rms", error, at_most=0.4)
