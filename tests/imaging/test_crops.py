"""Boxes: where they end, where the particle lies in them, and on what scale."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tomobayes.imaging.crops import Crop, circle_fade, crop_boxes, crop_plan, half_plane_frequency, soften_circle, transform_boxes


def test_boxes_are_cut_around_the_particle_and_inverted():
    image = np.arange(30 * 40, dtype=np.int16).reshape(30, 40)
    boxes, position = crop_boxes([image], torch.tensor([[20.3, 14.6]], dtype=torch.float64), 8)
    np.testing.assert_array_equal(boxes[0], -image[11:19, 16:24].astype(np.float32))
    torch.testing.assert_close(position, torch.tensor([[4.3, 3.6]], dtype=torch.float64))


def test_beyond_the_border_its_pixels_are_repeated():
    image = np.random.default_rng(0).normal(size=(30, 40)).astype(np.float32)
    boxes, _ = crop_boxes([image], torch.tensor([[1.0, 28.0]], dtype=torch.float64), 8)
    np.testing.assert_array_equal(boxes[0], -np.pad(image, 8, mode="edge")[32:40, 5:13])


@pytest.mark.parametrize("place", [(4.0, 4.0), (3.3, 4.4), (4.9, 3.75)])
def test_the_particle_is_brought_to_the_origin(place):
    """A band-limited point at any place has the transform of a point at the origin: real, positive and flat."""
    edge, position = 8, torch.tensor([place], dtype=torch.float64)
    frequency = half_plane_frequency(edge, 1.0).double()
    point = torch.fft.irfft2(
        torch.polar(torch.ones(edge, edge // 2 + 1, dtype=torch.float64), -2 * np.pi * (frequency @ position[0])), s=(edge, edge)
    )
    spectrum = transform_boxes(point.float()[None], position, Crop(edge, edge, edge))[0]
    inside = (frequency.abs() < 0.49).all(-1) & (frequency.norm(dim=-1) > 0)
    torch.testing.assert_close(spectrum[inside], torch.full_like(spectrum[inside], 1 / edge), rtol=0, atol=1e-6)
    assert spectrum[0, 0] == 0


def test_binning_keeps_the_scale_of_the_map():
    """A projection of the same density counts binning times fewer voxels, each of the same grey value."""
    raw, large = 48, 24
    axis = torch.arange(raw) - raw // 2
    image = torch.exp(-(axis[:, None] ** 2 + axis**2) / (2 * 5.0**2))
    crop = Crop(large, large, raw)
    spectrum = transform_boxes(image[None], torch.full((1, 2), raw / 2, dtype=torch.float64), crop)[0]
    binned = torch.fft.fftshift(torch.fft.irfft2(spectrum, s=(large, large), norm="ortho"))
    expected = image[::2, ::2] / crop.binning
    torch.testing.assert_close(binned - binned[0, 0], expected - expected[0, 0], rtol=0, atol=1e-4)


def test_box_grows_with_the_delocalisation_and_keeps_to_whole_pixels():
    wide = crop_plan(64, 2.0, None, reach_angstrom=100.0, pixel_size_angstrom=2.5)
    assert wide.box == 64 and wide.large >= 104 and wide.raw == 2 * wide.large and wide.binning == 2.0
    uneven = crop_plan(64, 1.37, 64, reach_angstrom=100.0, pixel_size_angstrom=2.5)
    assert uneven.large == 64 and uneven.raw % 2 == 0 and uneven.binning == pytest.approx(1.37, rel=0.02)


def test_fade_is_whole_inside_and_nothing_outside_the_circle():
    fade = circle_fade(40, rim=14, soft_px=5)
    axis = torch.arange(40) - 20
    radius = (axis[:, None] ** 2 + axis**2).sqrt()
    assert (fade[radius <= 9] == 1).all() and (fade[radius >= 14] == 0).all()
    assert fade[20, 20 + 11] == pytest.approx(0.5 - 0.5 * np.cos(np.pi * 3 / 5))


def test_softened_boxes_have_no_background_and_no_border():
    boxes = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(0)) + 100
    fade = circle_fade(32)
    soft = soften_circle(boxes, fade)
    outside = fade == 0
    torch.testing.assert_close(soft[:, 16, 16], boxes[:, 16, 16] - boxes[:, outside].mean(1))
    assert (soft[:, outside] == 0).all() and soft.mean().abs() < 0.2
