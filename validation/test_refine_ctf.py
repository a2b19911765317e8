"""``refine-ctf`` on tilt series whose optics are written wrongly, each unknown alone and all together, and where nothing is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from commands import tomobayes
from tilt_series_scene import (
    DIAMETER,
    PIXEL,
    Planted,
    astigmatism_error,
    defocus_error,
    even_phase_error,
    magnification_error,
    odd_phase_error,
    planted,
    scale_error,
)
from tomobayes.compute.executors import InProcess
from tomobayes.formats.relion import read_dataset, write_dataset
from tomobayes.jobs.compared import given_references, load_compared, references_of
from tomobayes.jobs.log import job_log
from tomobayes.jobs.parameters import RefineCtf
from tomobayes.jobs.refine_ctf import settings_of
from tomobayes.model import Dataset
from tomobayes.tiltseries.boxes import Cutter
from tomobayes.tiltseries.ctf_refinement import CtfRefinement, finished, refined_series, stages
from tomobayes.tiltseries.defocus import defocus_of

SNR = 0.3
"""Of the simulated cases: optics beyond defocus take detail to be seen at all."""


def rms(values: np.ndarray) -> float:
    return float(np.sqrt((np.asarray(values) ** 2).mean()))


def ribosomes(shared: Path, out: Path, *options: object, aligned: bool = True, tomograms: Path | None = None) -> Dataset:
    """The shared ribosomes with errors, after RELION's own alignment or before it."""
    folder = shared / "data" / "simulated" / "ribosome_errors"
    relion, halves = folder / "relion" / "align", folder / "relion" / "after_align"
    files = ["--p", relion / "particles.star", "--t", tomograms or relion / "tomograms.star", "--mot", relion / "motion.star"]
    if not aligned:
        files, halves = ["--i", folder], folder / "relion"
    maps = ["--ref1", halves / "half1.mrc", "--ref2", halves / "half2.mrc", "--mask", folder / "mask.mrc", "--particle-diameter", 290]
    tomobayes("refine-ctf", *files, *maps, *options, "--o", out)
    return read_dataset(out)


def true_defocus_error(dataset: Dataset, shared: Path) -> list[float]:
    """Å rms, by the simulator's own account."""
    errors = []
    for series in dataset.tilt_series:
        truth = np.load(shared / "data" / "simulated" / "ribosome_errors" / f"{series.name}_truth.npz")["defocus"]
        errors.append(rms(defocus_of(series)[:, 0] - truth))
    return errors


@pytest.mark.parametrize(("aligned", "bar"), [(True, (270, 270)), (False, (384.3, 435.7))])
def test_defoci_of_ribosomes_with_errors(shared: Path, claims, tmp_path: Path, aligned: bool, bar: tuple[float, float]) -> None:
    found = true_defocus_error(ribosomes(shared, tmp_path / "ctf", "--do-defocus", aligned=aligned), shared)
    start = true_defocus_error(read_dataset(shared / "data" / "simulated" / "ribosome_errors"), shared)
    when = "after alignment" if aligned else "run first, on the poor map (RELION 1101 and 1437)"
    for number, (error, most, null) in enumerate(zip(found, bar, start, strict=True), start=1):
        claims.measured(f"defocus error of series {number} {when}, Å rms", error, at_most=most, null=null)


def test_scales_of_ribosomes_with_errors(shared: Path, claims, tmp_path: Path) -> None:
    folder = shared / "data" / "simulated" / "ribosome_errors"
    known = read_dataset(None, folder / "relion" / "align" / "particles.star", folder / "relion" / "align" / "tomograms.star")
    flat = tuple(replace(one, scale=np.ones(one.n_tilts)) for one in known.tilt_series)
    write_dataset(tmp_path / "flat", replace(known, tilt_series=flat), what=("particles", "tomograms"))
    wrong = tmp_path / "flat" / "tomograms.star"
    found = ribosomes(shared, tmp_path / "ctf", "--do-defocus", "--do-scale", "--per-frame-scale", tomograms=wrong)
    for series, true, start in zip(found.tilt_series, known.tilt_series, flat, strict=True):
        error, null = 100 * rms(scale_error(series, true)), 100 * rms(scale_error(start, true))
        claims.measured(f"scale error of {series.name} from scales of 1, % rms", error, at_most=3, null=null)


def looked_at(case: Planted, **tasks: object) -> tuple[CtfRefinement, Dataset]:
    """What is found from the written parameters, and the truth."""
    parameters = RefineCtf(i=case.start, mask=case.mask, particle_diameter=DIAMETER, **tasks)
    with job_log() as log:
        compared = load_compared(parameters, log)
    cutter, stretches = Cutter(compared.experiment.dataset), []
    references = references_of(compared, given_references(compared, "C1"), cutter, "C1", DIAMETER, InProcess())
    for stage in stages(settings_of(parameters)):
        series, _ = refined_series(cutter, compared.experiment.usable, references, stage, InProcess())
        found = finished(cutter.dataset, series, stage)
        cutter = cutter.anew(found.dataset)
        stretches += found.magnifications
    return replace(found, magnifications=tuple(stretches)), read_dataset(case.truth)


ALL = {
    "do_defocus": True,
    "do_scale": True,
    "per_frame_scale": True,
    "do_odd_aberrations": True,
    "do_magnification": True,
}


def test_astigmatism(claims, tmp_path: Path) -> None:
    case = planted(tmp_path / "sim", "--astigmatism-error", 300, snr=SNR)
    found, truth = looked_at(case, do_defocus=True)
    before, series = read_dataset(case.start), truth.tilt_series
    error, start = (
        rms(np.array([astigmatism_error(one.tilt_series[i], series[i]) / 2 for i in range(len(series))])) for one in (found.dataset, before)
    )
    claims.measured("astigmatism error, Å rms of ½(U - V) per component", error, at_most=80, null=start)
    claims.measured("χ² per degree of freedom with a learned spread, where all true astigmatism is alike", _chi2(found, truth))
    # Without a prior that draws tilts together, the error bars are those of the images alone.
    alone, _ = looked_at(case, do_defocus=True, defocus_sigma=1e5, astigmatism_sigma=1e5)
    claims.measured("χ² per degree of freedom of astigmatism, each tilt alone", _chi2(alone, truth), at_least=0.7, at_most=1.4)


def _chi2(found: CtfRefinement, truth: Dataset) -> float:
    fits = [(one.defocus.fit, defocus_of(truth.tilt_series[one.index])) for one in found.series]
    return rms(np.array([(fit.value - true)[:, 1:] / fit.error[:, 1:] for fit, true in fits])) ** 2


def test_scale(claims, tmp_path: Path) -> None:
    case = planted(tmp_path / "sim", "--scale-error", 0.2, snr=SNR)
    found, truth = looked_at(case, do_scale=True, per_frame_scale=True)
    error, chi2 = [], []
    for one, scale in zip(found.series, found.scales, strict=True):
        true = truth.tilt_series[one.index].scale
        error.append(scale_error(found.dataset.tilt_series[one.index], truth.tilt_series[one.index]))
        ratio = scale.fit / true
        deviation = scale.error / true
        chi2.append((ratio - np.average(ratio, weights=deviation**-2)) / deviation)
    claims.measured("scale error, % rms", 100 * rms(np.array(error)), at_most=2, null=20.0)
    claims.measured("χ² per degree of freedom of scale", rms(np.array(chi2)) ** 2, at_least=0.7, at_most=1.4)


def test_lamberts_law(claims, tmp_path: Path) -> None:
    case = planted(tmp_path / "sim", "--no-scale", "--thickness-spread", 300, "--ice-tilt", 4, snr=SNR)
    found, truth = looked_at(case, do_scale=True)
    for one in found.series:
        series, true = found.dataset.tilt_series[one.index], truth.tilt_series[one.index]
        flat = replace(series, scale=np.ones(series.n_tilts))
        error, null = 100 * rms(scale_error(series, true)), 100 * rms(scale_error(flat, true))
        claims.measured(f"error of the scales by Lambert's law in {series.name}, % rms", error, at_most=1.5, null=null)


def test_trefoil_and_coma(claims, tmp_path: Path) -> None:
    case = planted(tmp_path / "sim", "--trefoil", 120, "--coma", 120, snr=SNR)
    found, truth = looked_at(case, do_odd_aberrations=True)
    error = rms(odd_phase_error(found.dataset.optics[0], truth.optics[0], 3 * PIXEL))
    null = rms(odd_phase_error(read_dataset(case.start).optics[0], truth.optics[0], 3 * PIXEL))
    claims.measured("error of the antisymmetric phase to Nyquist/1.5, degrees rms", error, at_most=10, null=null)


def test_tetrafoil(claims, tmp_path: Path) -> None:
    case = planted(tmp_path / "sim", "--tetrafoil", 200, snr=SNR)
    found, truth = looked_at(case, do_even_aberrations=True)
    error = rms(even_phase_error(found.dataset.optics[0], truth.optics[0], 3 * PIXEL))
    null = rms(even_phase_error(read_dataset(case.start).optics[0], truth.optics[0], 3 * PIXEL))
    claims.measured("error of the symmetric phase to Nyquist/1.5, degrees rms", error, at_most=10, null=null)


def test_anisotropic_magnification(claims, tmp_path: Path) -> None:
    case = planted(tmp_path / "sim", "--aniso-magnification", 0.5, snr=SNR)
    found, truth = looked_at(case, do_magnification=True)
    error = 100 * rms(magnification_error(found.dataset.optics[0], truth.optics[0]))
    null = 100 * rms(magnification_error(read_dataset(case.start).optics[0], truth.optics[0]))
    claims.measured("error of the magnification, % rms of its elements", error, at_most=0.1, null=null)


def test_all_together(claims, tmp_path: Path) -> None:
    wrong = ("--defocus-error", 400, "--astigmatism-error", 300, "--scale-error", 0.2)
    case = planted(tmp_path / "sim", *wrong, "--trefoil", 120, "--coma", 120, "--aniso-magnification", 0.5, snr=SNR)
    found, truth = looked_at(case, **ALL)
    before, after = read_dataset(case.start), found.dataset
    for what, error, most in (
        ("defocus, Å rms", lambda one: rms(np.array([defocus_error(*both) for both in _pairs(one, truth)])), 200),
        ("astigmatism, Å rms of ½(U - V)", lambda one: rms(np.array([astigmatism_error(*both) / 2 for both in _pairs(one, truth)])), 150),
        ("scale, % rms", lambda one: 100 * rms(np.array([scale_error(*both) for both in _pairs(one, truth)])), 3),
        (
            "antisymmetric phase to Nyquist/1.5, degrees rms",
            lambda one: rms(odd_phase_error(one.optics[0], truth.optics[0], 3 * PIXEL)),
            10,
        ),
        ("magnification, % rms", lambda one: 100 * rms(magnification_error(one.optics[0], truth.optics[0])), 0.15),
    ):
        claims.measured(f"all at once: {what}", error(after), at_most=most, null=error(before))


def _pairs(dataset: Dataset, truth: Dataset) -> list[tuple[object, object]]:
    return list(zip(dataset.tilt_series, truth.tilt_series, strict=True))


def test_nothing_moves_where_nothing_is_wrong(claims, tmp_path: Path) -> None:
    case = planted(tmp_path / "sim", snr=SNR)
    found, truth = looked_at(case, **ALL, do_even_aberrations=True)
    moved = []
    for one, scale in zip(found.series, found.scales, strict=True):
        fit, true = one.defocus.fit, defocus_of(truth.tilt_series[one.index])
        moved += [*((fit.value - true)[:, 0] / fit.error[:, 0])]
        claims.measured(f"defoci of perfect {truth.tilt_series[one.index].name} change by, Å rms", rms((fit.value - true)[:, 0]))
        ratio = scale.fit / scale.before
        moved += [*((ratio - np.average(ratio, weights=scale.error**-2.0)) * scale.before / scale.error)]
    claims.measured("χ² per degree of freedom of perfect defoci and scales", rms(np.array(moved)) ** 2, at_most=1.4)
    moved = [*(found.magnifications[0].stretch / found.magnifications[0].error)]
    for result in found.aberrations:
        phase, error = result.found.phase(np.array([[1 / 12, 0], [0, 1 / 12], [0.06, 0.06], [0.06, -0.06]]), result.parity)
        moved += [*(phase / error)]
    claims.measured("largest change of perfect aberrations and magnification, standard errors", float(np.abs(moved).max()), at_most=3)
