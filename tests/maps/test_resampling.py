"""Resampling keeps the density and the place of what a map shows."""

import numpy as np
import pytest

from tomobayes.maps.resampling import change_pixel_size, crop_or_pad, fourier_resample
from tomobayes.maps.spectra import transform


def gaussian(box, pixel_size, centre=(3.0, -5.0, 8.0), width=8.0):
    """exp(-|r - centre|²/2w²) sampled at voxel centres, Å."""
    axis = (np.arange(box) - box // 2) * pixel_size
    x2, y2, z2 = ((axis - c) ** 2 for c in centre)
    return np.exp(-(z2[:, None, None] + y2[:, None] + x2) / (2 * width**2)).astype(np.float32)


@pytest.mark.parametrize("old", [40, 41])
@pytest.mark.parametrize("new", [24, 25, 60, 61])
def test_fourier_resampling_samples_the_same_density(old, new):
    assert np.abs(fourier_resample(gaussian(old, 2.0), new) - gaussian(new, 2.0 * old / new)).max() < 2e-3


def test_fourier_resampling_up_and_down_changes_nothing(make_map):
    volume = make_map(32, width=1.6)
    assert np.array_equal(fourier_resample(volume, 32), volume)
    assert np.allclose(fourier_resample(fourier_resample(volume, 45), 32), volume, atol=1e-4)


@pytest.mark.parametrize(("old", "new"), [(24, 32), (32, 24), (25, 17), (24, 17)])
def test_every_frequency_below_nyquist_survives(old, new):
    volume = np.random.default_rng(0).standard_normal((old,) * 3).astype(np.float32)
    kept = np.arange(-((min(old, new) - 1) // 2), (min(old, new) - 1) // 2 + 1)
    spectra = [transform(v)[np.ix_(kept, kept, kept[kept >= 0])] / len(v) ** 3 for v in (volume, fourier_resample(volume, new))]
    assert np.allclose(*spectra, atol=1e-6)


@pytest.mark.parametrize(("old", "new"), [(24, 32), (24, 33), (25, 32), (32, 24), (33, 24), (32, 25), (24, 24)])
def test_crop_and_pad_keep_the_centre(old, new):
    volume = np.zeros((old,) * 3, dtype=np.float32)
    volume[old // 2, old // 2 + 1, old // 2 - 3] = 1
    fitted = crop_or_pad(volume, new)
    assert fitted.shape == (new,) * 3
    assert fitted.sum() == 1
    assert fitted[new // 2, new // 2 + 1, new // 2 - 3] == 1


@pytest.mark.parametrize(("old_px", "new_px", "box"), [(2.0, 4.0, 24), (4.0, 2.0, 80), (1.35, 5.4, 16), (3.1, 2.37, 51), (2.0, 2.0, 30)])
def test_pixel_size_changes_and_the_density_stays_where_it_was(old_px, new_px, box):
    old_box = int(100 / old_px)
    rescaled = change_pixel_size(gaussian(old_box, old_px), old_px, new_px, box)
    assert np.abs(rescaled - gaussian(box, new_px)).max() < 5e-3
