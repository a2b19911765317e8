"""A state of a search for first maps as RELION's files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from tomobayes.formats.mrc import write_map
from tomobayes.inference.abinitio.state import AbInitioSettings, AbInitioState
from tomobayes.jobs.experiment import Experiment
from tomobayes.jobs.results import hand_on, with_poses
from tomobayes.model import Map, Reference

__all__ = ["final_map", "write_ab_initio_maps", "write_ab_initio_result"]


def final_map(settings: AbInitioSettings, state: AbInitioState, k: int) -> Map:
    """The map of a class, counted from 0, inside the mask."""
    return Map(np.asarray(state.references[k].numpy() * settings.images.mask), settings.images.pixel_size_angstrom)


def write_ab_initio_maps(folder: Path, stem: str, settings: AbInitioSettings, state: AbInitioState) -> list[Path]:
    """STEM_classKKK.mrc."""
    paths = [folder / f"{stem}_class{k + 1:03d}.mrc" for k in range(settings.n_classes)]
    for k, path in enumerate(paths):
        write_map(path, final_map(settings, state, k))
    return paths


def write_ab_initio_result(
    folder: Path, experiment: Experiment, settings: AbInitioSettings, state: AbInitioState, mask: Path | None
) -> list[Path]:
    """What the next job takes: maps, particles with their poses and classes, and the optimisation set that names them.

    tomobayesClassProbabilityK is the posterior of class K, where there are several; other columns as of a refinement.
    """
    maps, found = write_ab_initio_maps(folder, "run", settings, state), state.estimates
    assert found is not None
    particles = with_poses(experiment.dataset.particles, state.rotation.numpy(), state.centre_angstrom.numpy())
    part = (settings.batches >= 0) & ~np.isin(particles.tilt_series, list(state.set_aside))
    posterior = state.posterior.numpy()
    particles = replace(particles, class_number=np.where(part, 1 + posterior.argmax(1), particles.class_number))
    columns: dict[str, ArrayLike] = {
        "rlnMaxValueProbDistribution": found.best_probability.numpy(),
        "rlnLogLikeliContribution": found.log_evidence.numpy(),
        "tomobayesSigmaAngle": found.sigma_rotation.numpy(),
        "tomobayesSigmaOriginAngst": found.sigma_shift_angstrom.numpy(),
    }
    if settings.n_classes > 1:
        columns |= {f"tomobayesClassProbability{k + 1}": share for k, share in enumerate(posterior.T)}
    dataset = experiment.dataset.with_particles(particles)
    written = hand_on(folder, "run_data.star", dataset, experiment.members, Reference(mask=mask), columns)
    return [*maps, folder / "run_data.star", written]
