"""A state of a refinement as RELION's files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from tomobayes.formats.mrc import write_map
from tomobayes.formats.relion import write_particles
from tomobayes.formats.relion_model import ClassModel, RefinementModel, write_model
from tomobayes.inference.reconstruction import NoiseSpectra
from tomobayes.inference.refinement import Settings, State
from tomobayes.jobs.experiment import Experiment
from tomobayes.jobs.results import hand_on, with_poses
from tomobayes.maps.filters import low_pass
from tomobayes.maps.spectra import shell_counts, shell_sum, transform
from tomobayes.model import Dataset, Map, Reference

__all__ = [
    "final_maps",
    "map_spectra",
    "noise_spectra",
    "refined",
    "taking_part",
    "write_iteration",
    "write_result",
]

Columns = dict[str, ArrayLike]
Float = NDArray[np.float64]


def taking_part(experiment: Experiment, state: State) -> NDArray[np.bool_]:
    """(P,) which particles the maps of a state are made of."""
    part: NDArray[np.bool_] = experiment.usable & ~np.isin(experiment.dataset.particles.tilt_series, list(state.set_aside))
    return part


def refined(experiment: Experiment, state: State) -> tuple[Dataset, Columns]:
    """The data set with a state's poses, and result columns of the particles (zero where they took no part).

    tomobayesSigmaAngle (degrees) and tomobayesSigmaOriginAngst are the posterior's standard deviations, the mean over three axes.
    rlnMaxValueProbDistribution is the largest share of the posterior that one pose of its sum has: of the last grid of a global search
    as in RELION, but of the 15 x 15 nodes of a cubature in a local one, where it is at most 0.16 for a Gaussian peak and tells
    nothing of how well the pose is known.
    """
    particles = with_poses(experiment.dataset.particles, state.rotation.numpy(), state.centre_angstrom.numpy())
    particles = replace(particles, class_number=np.where(taking_part(experiment, state), 1, particles.class_number))
    found = state.estimates
    assert found is not None
    columns: Columns = {
        "rlnMaxValueProbDistribution": found.best_probability.numpy(),
        "rlnLogLikeliContribution": found.log_evidence.numpy(),
        "rlnNrOfSignificantSamples": found.significant.numpy().astype(np.int64),
        "tomobayesSigmaAngle": found.sigma_rotation.numpy(),
        "tomobayesSigmaOriginAngst": found.sigma_shift_angstrom.numpy(),
    }
    return experiment.dataset.with_particles(particles), columns


def write_iteration(folder: Path, experiment: Experiment, settings: Settings, state: State) -> None:
    """run_itNNN_data.star, run_itNNN_model.star, and the maps that the next iteration starts from."""
    stem = f"run_it{state.iteration:03d}"
    dataset, columns = refined(experiment, state)
    write_particles(folder / f"{stem}_data.star", dataset, extra=columns)
    for half, reference in enumerate(state.references, start=1):
        _write(folder / f"{stem}_half{half}_class001.mrc", reference, settings)
    write_model(folder / f"{stem}_model.star", _model(folder / f"{stem}_half1_class001.mrc", experiment, settings, state))


def write_result(folder: Path, experiment: Experiment, settings: Settings, state: State, mask: Path | None) -> list[Path]:
    """What the next job takes: maps, particles and the optimisation set that names them."""
    halves = [folder / f"run_half{half}_class001_unfil.mrc" for half in (1, 2)]
    for path, half_map in zip(halves, state.half_maps, strict=True):
        _write(path, half_map, settings)
    write_map(folder / "run_class001.mrc", Map(final_maps(settings, state), settings.pixel_size_angstrom))
    write_model(folder / "run_model.star", _model(folder / "run_class001.mrc", experiment, settings, state))
    dataset, columns = refined(experiment, state)
    reference = Reference(half1=halves[0], half2=halves[1], mask=mask)
    written = hand_on(folder, "run_data.star", dataset, experiment.members, reference, columns)
    return [folder / "run_class001.mrc", *halves, folder / "run_data.star", written]


def final_maps(settings: Settings, state: State) -> NDArray[np.float32]:
    """The map of all images, low-passed where its halves cease to agree."""
    merged, resolution = state.merged.numpy(), state.history[-1].resolution_angstrom
    return low_pass(merged, settings.pixel_size_angstrom, resolution) if np.isfinite(resolution) else merged


def _write(path: Path, volume: Tensor, settings: Settings) -> None:
    write_map(path, Map(volume.numpy(), settings.pixel_size_angstrom))


def _model(reference: Path, experiment: Experiment, settings: Settings, state: State) -> RefinementModel:
    curves, last = state.fsc, state.history[-1]
    assert curves is not None
    fsc = np.clip(curves.corrected, 0.001, 0.999)
    noise, signal = map_spectra(state.half_maps)
    one = ClassModel(str(reference), last.resolution_angstrom, settings.tau2_fudge * fsc / (1 - fsc), noise, signal, curves.corrected)
    general = {
        "rlnSigmaOffsetsAngst": state.offset_sigma,
        "rlnTau2FudgeFactor": settings.tau2_fudge,
        "rlnParticleDiameter": settings.particle_diameter,
    }
    return RefinementModel(
        box=settings.box,
        pixel_size_angstrom=settings.pixel_size_angstrom,
        current_box=2 * (last.radius + 1),
        classes=[one],
        noise=noise_spectra(experiment, settings.box, state.sigma2),
        log_likelihood=last.log_evidence,
        average_pmax=last.best_probability,
        general={label: value for label, value in general.items() if label != "rlnParticleDiameter"},
    )


def map_spectra(half_maps: tuple[Tensor, Tensor]) -> tuple[Float, Float]:
    """Variances of noise and signal in one half-map per real component and shell, in RELION's units (transform / n²).

    The difference of the half-maps is noise alone, twice; their cross spectrum is signal alone.
    """
    first, second = (transform(one.numpy()) for one in half_maps)
    box = len(half_maps[0])
    count = np.maximum(shell_counts(box), 1) * box**4
    noise = shell_sum(np.abs(first - second) ** 2, box) / count / 4
    signal = np.maximum(shell_sum((first * second.conj()).real, box) / count / 2, 0)
    return np.asarray(noise, dtype=np.float64), np.asarray(signal, dtype=np.float64)


def noise_spectra(experiment: Experiment, box: int, sigma2_of: NoiseSpectra) -> dict[str, Float]:
    """σ² of the images per optics group, the mean over tilts and halves, in RELION's units (transform / n²)."""
    particles = experiment.dataset.particles
    spectra = {}
    for index, optics in enumerate(experiment.dataset.optics):
        series = set(particles.tilt_series[particles.optics == index].tolist())
        rows = [sigma2 for (one, _), sigma2 in sigma2_of.items() if one in series]
        if rows:
            stacked = torch.cat(rows).double()
            seen = torch.isfinite(stacked)
            mean = torch.where(seen, stacked, 0).sum(0) / seen.sum(0).clamp_min(1)
            spectra[optics.name] = np.append(mean.numpy(), 0.0) / box**2
    return spectra
