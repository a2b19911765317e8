"""A state of a classification as RELION's files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from tomobayes.formats.mrc import write_map
from tomobayes.formats.relion import write_particles
from tomobayes.formats.relion_model import ClassModel, RefinementModel, write_model
from tomobayes.inference.classification.state import ClassSettings, ClassState
from tomobayes.jobs.experiment import Experiment
from tomobayes.jobs.refine_files import map_spectra, noise_spectra
from tomobayes.jobs.results import hand_on, with_poses
from tomobayes.model import Dataset, Map, Reference

__all__ = ["classified", "write_class_iteration", "write_class_result"]


def classified(experiment: Experiment, state: ClassState) -> tuple[Dataset, dict[str, ArrayLike]]:
    """The data set with a state's classes and poses, and the posterior of every particle (zero where it took no part).

    rlnLogLikeliContribution is the log evidence gained over one map for all, in nats; tomobayesClassProbabilityK that of class K;
    tomobayesClassConsistency, of several runs, the share that put a particle where most of them do; tomobayesSigmaAngle (degrees) and
    tomobayesSigmaOriginAngst, where poses were searched, the posterior's standard deviations under its class.
    """
    rows, particles = state.rows.numpy(), experiment.dataset.particles
    if state.estimates is not None:
        particles = with_poses(particles, state.rotation.numpy(), state.centre_angstrom.numpy())
    labels, posterior = particles.class_number.copy(), state.posterior.numpy()
    labels[rows] = 1 + posterior[rows].argmax(1)
    columns: dict[str, ArrayLike] = {
        "rlnMaxValueProbDistribution": posterior.max(1),
        "rlnLogLikeliContribution": state.gain_nats.numpy(),
        **{f"tomobayesClassProbability{k + 1}": share for k, share in enumerate(posterior.T)},
    }
    if state.consistency is not None:
        columns["tomobayesClassConsistency"] = state.consistency.numpy()
    if state.estimates is not None:
        widths = np.zeros((2, len(labels)))
        widths[:, rows] = state.estimates.sigma_rotation.numpy(), state.estimates.sigma_shift_angstrom.numpy()
        columns |= {"tomobayesSigmaAngle": widths[0], "tomobayesSigmaOriginAngst": widths[1]}
    return experiment.dataset.with_particles(replace(particles, class_number=labels)), columns


def write_class_iteration(folder: Path, experiment: Experiment, settings: ClassSettings, state: ClassState) -> None:
    """run_itNNN_data.star, run_itNNN_model.star and run_itNNN_classKKK.mrc."""
    stem = f"run_it{state.iteration:03d}"
    dataset, columns = classified(experiment, state)
    write_particles(folder / f"{stem}_data.star", dataset, extra=columns)
    _write_maps(folder, stem, experiment, settings, state)


def write_class_result(folder: Path, experiment: Experiment, settings: ClassSettings, state: ClassState, mask: Path | None) -> list[Path]:
    """What the next job takes: maps, half-maps, particles and the optimisation set that names them."""
    assert state.maps is not None
    maps = _write_maps(folder, "run", experiment, settings, state)
    halves = []
    for k, pair in enumerate(state.maps.half_maps, start=1):
        for half, one in enumerate(pair, start=1):
            halves.append(_write(folder / f"run_half{half}_class{k:03d}_unfil.mrc", one, settings))
    dataset, columns = classified(experiment, state)
    written = hand_on(folder, "run_data.star", dataset, experiment.members, Reference(mask=mask), columns)
    return [*maps, *halves, folder / "run_data.star", written]


def _write(path: Path, volume: Tensor, settings: ClassSettings) -> Path:
    write_map(path, Map(volume.numpy(), settings.images.pixel_size_angstrom))
    return path


def _write_maps(folder: Path, stem: str, experiment: Experiment, settings: ClassSettings, state: ClassState) -> list[Path]:
    assert state.maps is not None
    paths = [_write(folder / f"{stem}_class{k:03d}.mrc", one, settings) for k, one in enumerate(state.maps.maps, start=1)]
    write_model(folder / f"{stem}_model.star", _model(paths, experiment, settings, state))
    return paths


def _model(paths: list[Path], experiment: Experiment, settings: ClassSettings, state: ClassState) -> RefinementModel:
    assert state.maps is not None
    last, classes = state.history[-1], []
    for path, curves, halves, share in zip(paths, state.maps.fsc, state.maps.half_maps, last.occupancy, strict=True):
        fsc = np.clip(curves.corrected, 0.001, 0.999)
        noise, signal = map_spectra(halves)
        ssnr = settings.images.tau2_fudge * fsc / (1 - fsc)
        classes.append(ClassModel(str(path), curves.resolution_angstrom(), ssnr, noise, signal, curves.corrected, share))
    return RefinementModel(
        box=settings.images.box,
        pixel_size_angstrom=settings.images.pixel_size_angstrom,
        current_box=2 * (last.radius + 1),
        classes=classes,
        noise=noise_spectra(experiment, settings.images.box, state.sigma2),
        log_likelihood=last.log_evidence,
        average_pmax=last.certainty,
        general={"rlnTau2FudgeFactor": settings.images.tau2_fudge},
    )
