"""Geometry and optics against tilt images of a simulator that shares no code with this project.

The figure is the log-likelihood ratio in nats between the truth and a wrong model (a null), divided by what it should
be if the forward model were exact: ½·a²·Σ|wrong - true|²/σ². A forward model without errors gives 1 for every null.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from tomobayes.fourier.grids import half_plane, shells
from tomobayes.fourier.volume import from_map
from tomobayes.imaging.predict import predict
from tomobayes.imaging.views import views_of
from tomobayes.model import Dataset

BOX = 96
SAMPLES = half_plane(BOX // 2 - 1)


@dataclass(frozen=True)
class Fit:
    """Recorded transforms, the prediction with true parameters, its amplitude and the noise's variance per component."""

    recorded: Tensor
    expected: Tensor
    amplitude: float
    variance: float


def _predict(dataset: Dataset, volume: np.ndarray, corner: Tensor) -> Tensor:
    views = views_of(dataset, np.arange(len(dataset.particles)))
    offset = views.centre_px - corner - BOX // 2
    rotation = torch.from_numpy(dataset.particles.rotation)
    return predict(from_map(torch.from_numpy(volume.copy())), rotation, views, SAMPLES, views.pixel_size_angstrom, offset)


def _recorded(images: np.ndarray, corner: Tensor) -> Tensor:
    boxes = np.stack([[images[f, y : y + BOX, x : x + BOX] for f, (x, y) in enumerate(row)] for row in corner.tolist()])
    bright = torch.fft.ifftshift(-torch.from_numpy(boxes.astype(np.float32)), dim=(-2, -1))
    return torch.fft.fft2(bright, norm="ortho")[..., SAMPLES[:, 1], SAMPLES[:, 0]]


@pytest.fixture(scope="module")
def inside(independent):
    """The particles whose boxes lie inside every tilt image."""
    everyone = views_of(independent.dataset, np.arange(len(independent.dataset.particles)), half_width_px=BOX / 2 + 1)
    kept = np.flatnonzero(everyone.visible.all(1).numpy())
    table = independent.dataset.particles
    per_row = {name: getattr(table, name)[kept] for name in ("name", "tilt_series", "optics", "position_angstrom", "rotation_subtomogram")}
    per_row |= {
        name: getattr(table, name)[kept]
        for name in (
            "rotation_particle",
            "origin_angstrom",
            "half",
            "class_number",
            "tilt_prior_degrees",
            "psi_prior_degrees",
            "rot_prior_degrees",
        )
    }
    return replace(independent, dataset=independent.dataset.with_particles(replace(table, columns={}, **per_row)))


@pytest.fixture(scope="module")
def corner(inside) -> Tensor:
    """(P, F, 2) first pixel of each particle's box."""
    return views_of(inside.dataset, np.arange(len(inside.dataset.particles))).centre_px.round().long() - BOX // 2


@pytest.fixture(scope="module")
def fit(inside, corner) -> Fit:
    recorded, expected = _recorded(inside.images, corner), _predict(inside.dataset, inside.truth, corner)
    amplitude = float((expected.conj() * recorded).real.sum() / expected.abs().square().sum())
    return Fit(recorded, expected, amplitude, float((recorded - amplitude * expected).abs().square().mean() / 2))


def test_every_tilt_sees_the_particles(fit):
    agreement = (fit.expected.conj() * fit.recorded).real.sum((0, 2))
    z = agreement / (fit.expected.abs().square().sum((0, 2)) * fit.variance).sqrt()
    assert len(fit.recorded) >= 40
    assert z.min() > 30


def test_contrast_envelope_and_ctf_leave_a_flat_amplitude(fit):
    """One amplitude serves every shell: dose weight, CTF, scale and the transform's normalisation are the simulator's own."""
    shell = shells(SAMPLES)
    agreement = torch.bincount(shell, (fit.expected.conj() * fit.recorded).real.sum((0, 1)).double())
    power = torch.bincount(shell, fit.expected.abs().square().sum((0, 1)).double())
    amplitude, error = agreement / power, (fit.variance / power).sqrt()
    assert fit.amplitude > 0
    deviation = ((amplitude - fit.amplitude) / error)[4:]  # the first shells carry the neighbours' density, which is not noise
    assert deviation.square().mean().sqrt() < 1.5
    assert abs(float((agreement[12:].sum() / power[12:].sum()) / fit.amplitude) - 1) < 0.01


def _series(**change: Callable) -> Callable[[Dataset], Dataset]:
    def changed(dataset: Dataset) -> Dataset:
        new = (replace(series, **{name: rule(getattr(series, name)) for name, rule in change.items()}) for series in dataset.tilt_series)
        return replace(dataset, tilt_series=tuple(new))

    return changed


def _particles(**change: Callable) -> Callable[[Dataset], Dataset]:
    def changed(dataset: Dataset) -> Dataset:
        new = {name: rule(getattr(dataset.particles, name)) for name, rule in change.items()}
        return dataset.with_particles(replace(dataset.particles, **new))

    return changed


def _turned(axis: str) -> Callable[[Dataset], Dataset]:
    return _particles(rotation_particle=lambda matrix: matrix @ Rotation.from_euler(axis, 1, degrees=True).as_matrix())


NULLS: dict[str, tuple[Callable[[Dataset], Dataset], float]] = {
    "hand flipped": (_series(hand=lambda hand: -hand), 200),
    "no depth in the defocus": (_series(hand=lambda hand: 0 * hand), 50),
    "pose transposed": (_particles(rotation_particle=lambda matrix: matrix.transpose(0, 2, 1)), 1e4),
    "tilt transposed": (_series(rotation=lambda matrix: matrix.transpose(0, 2, 1)), 1e4),
    "pose 1° about x": (_turned("x"), 500),
    "pose 1° about y": (_turned("y"), 500),
    "pose 1° about z": (_turned("z"), 500),
    "shift +1 Å in x": (_series(shift_angstrom=lambda shift: np.add(shift, [1, 0])), 1e3),
    "shift -1 Å in x": (_series(shift_angstrom=lambda shift: np.subtract(shift, [1, 0])), 1e3),
    "shift +1 Å in y": (_series(shift_angstrom=lambda shift: np.add(shift, [0, 1])), 1e3),
    "shift -1 Å in y": (_series(shift_angstrom=lambda shift: np.subtract(shift, [0, 1])), 1e3),
    "position +2 Å in z": (_particles(position_angstrom=lambda position: np.add(position, [0, 0, 2])), 500),
    "astigmatism mirrored": (_series(astigmatism_radians=lambda angle: -angle), 5),
    "astigmatism across": (_series(astigmatism_radians=lambda angle: angle + np.pi / 2), 10),
    "no dose": (_series(dose=lambda dose: 0 * dose), 1e4),
    "no scale": (_series(scale=np.ones_like), 500),
}


@pytest.mark.parametrize("null", NULLS)
def test_truth_beats_null_by_what_it_should(null, inside, corner, fit):
    change, at_least = NULLS[null]
    wrong = fit.amplitude * _predict(change(inside.dataset), inside.truth, corner)
    true = fit.amplitude * fit.expected
    nats = float(((fit.recorded - wrong).abs().square() - (fit.recorded - true).abs().square()).double().sum() / (2 * fit.variance))
    should_be = float((wrong - true).abs().square().double().sum() / (2 * fit.variance))
    print(f"{null}: {nats:.1f} nats, {should_be:.1f} expected")
    assert nats > at_least
    # sqrt(2·should_be) is the figure's own standard deviation; 5 % for the neighbours' density, which is not white
    assert abs(nats - should_be) < 3 * np.sqrt(2 * should_be) + 0.05 * should_be


def test_mirrored_map_and_dark_map_lose(inside, corner, fit):
    mirrored = np.roll(inside.truth[::-1], 1, axis=0)
    for wrong in (mirrored, -inside.truth):
        agreement = float((_predict(inside.dataset, wrong, corner).conj() * fit.recorded).real.sum())
        truth = float((fit.expected.conj() * fit.recorded).real.sum())
        assert agreement < 0.5 * truth
