"""Half transforms and their shell sums stand for the whole of Fourier space."""

import numpy as np
import pytest

from tomobayes.maps.spectra import inverse, shell_counts, shell_index, shell_sum, transform


@pytest.mark.parametrize("box", [16, 17])
def test_transform_is_numpys_of_the_centred_map_and_inverts(box):
    volume = np.random.default_rng(0).standard_normal((box,) * 3).astype(np.float32)
    spectrum = transform(volume)
    expected = np.fft.fftn(np.fft.ifftshift(volume))[..., : box // 2 + 1]
    assert np.abs(spectrum - expected).max() < 1e-5 * np.abs(expected).max()
    assert np.abs(inverse(spectrum, box) - volume).max() < 1e-5


@pytest.mark.parametrize("box", [16, 17])
def test_shell_sums_count_the_whole_of_each_shell(box):
    volume = np.random.default_rng(1).standard_normal((box,) * 3).astype(np.float32)
    power = np.abs(np.fft.fftn(volume)) ** 2
    k = np.fft.fftfreq(box, 1 / box)
    shell = np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k**2).round().astype(int).ravel()
    assert np.allclose(shell_sum(np.abs(transform(volume)) ** 2, box), np.bincount(shell, power.ravel())[: box // 2 + 1], rtol=1e-5)
    assert np.array_equal(shell_counts(box), np.bincount(shell)[: box // 2 + 1])


def test_shared_tables_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        shell_index(16)[0, 0, 0] = 3
