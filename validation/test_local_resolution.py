"""Local resolution where it is known: two sides of a box, noise alone, and a ribosome against its true density."""

from __future__ import annotations

import math

import numpy as np

from commands import tomobayes
from tomobayes.formats.mrc import read_map
from tomobayes.maps.filters import low_pass, multiply_shells
from tomobayes.maps.fsc import fsc, last_shell_above
from tomobayes.maps.local_grids import coarse_points
from tomobayes.maps.local_resolution import local_fsc, resolution_map
from tomobayes.maps.masks import mask_from_map

BOX, PIXEL = 160, 2.0
FINE, COARSE = 8.0, 16.0
EDGE = BOX * PIXEL
POINTS = coarse_points(BOX) * PIXEL
ACROSS = np.abs(POINTS) < EDGE / 4
LEFT, RIGHT = ((sign * POINTS > 60) & (sign * POINTS < 100) for sign in (-1, 1))
"""Points 60 Å and more from both borders between the sides, the one in the middle and the one where the box meets itself."""


def _fading(white: np.ndarray, resolution: float, snr: float = 100.0) -> np.ndarray:
    """Power falling as a Gaussian, so that the FSC with white noise of unit variance is 0.143 at a resolution."""
    frequency = np.arange(BOX // 2 + 1) / EDGE
    fall = math.log(snr * (1 - 0.143) / 0.143)
    return math.sqrt(snr) * multiply_shells(white, np.exp(-0.5 * fall * (frequency * resolution) ** 2))


def _cut(white: np.ndarray, resolution: float) -> np.ndarray:
    """Low-passed, ten times stronger than the noise up to the resolution."""
    return math.sqrt(10) * low_pass(white, PIXEL, resolution)


def _off(halves: tuple[np.ndarray, np.ndarray], side: np.ndarray, resolution: float) -> float:
    """Median local resolution of a side less the true one, in shells."""
    last = local_fsc(*halves, PIXEL).last_shell()
    return float(np.median(last[np.ix_(ACROSS, ACROSS, side)]) - EDGE / resolution)


def _sides(make, seed: int = 0):
    white, first, second = np.random.default_rng(seed).standard_normal((3, BOX, BOX, BOX)).astype(np.float32)
    fine, coarse = make(white, FINE), make(white, COARSE)
    both = np.where(np.arange(BOX) < BOX // 2, fine, coarse)
    return tuple((signal + first, signal + second) for signal in (both, fine, coarse))


def test_two_sides_of_a_box(claims):
    """8 Å on the left and 16 Å on the right; the oracle is a box of that resolution throughout, the null is noise."""
    both, fine, coarse = _sides(_fading)
    noise = tuple(np.random.default_rng(1).standard_normal((2, BOX, BOX, BOX)).astype(np.float32))
    for side, resolution, uniform in ((LEFT, FINE, fine), (RIGHT, COARSE, coarse)):
        claims.measured(
            f"{resolution:.0f} Å: shells between the median local resolution and the truth",
            abs(_off(both, side, resolution)),
            at_most=1,
            oracle=abs(_off(uniform, side, resolution)),
            null=abs(_off(noise, side, resolution)),
        )


def test_uniform_map_has_its_global_resolution(claims):
    """Shells between the median local resolution and the global FSC's, in a map that is everywhere the same."""
    _, fine, _ = _sides(_fading, seed=2)
    last = local_fsc(*fine, PIXEL).last_shell()[np.ix_(ACROSS, ACROSS, ACROSS)]
    claims.measured(
        "uniform: shells between local median and global FSC", abs(float(np.median(last)) - last_shell_above(fsc(*fine))), at_most=1.5
    )
    claims.measured("uniform: standard deviation of the local resolution in shells", float(last.std()), at_most=2)


def test_sharp_low_pass_is_overstated(claims):
    """Signal ten times the noise that ends at once: a band that still holds a seventh of it agrees. Told, not claimed."""
    both, fine, coarse = _sides(_cut, seed=3)
    for side, resolution, uniform in ((LEFT, FINE, fine), (RIGHT, COARSE, coarse)):
        claims.measured(
            f"{resolution:.0f} Å, cut sharply: shells beyond the truth",
            _off(both, side, resolution),
            oracle=_off(uniform, side, resolution),
        )


def test_noise_has_no_resolution(claims):
    """Share of places where halves of noise alone claim one, over 6 pairs; and where one band alone is significant (told: 0.001)."""
    places, bands = [], []
    for seed in range(6):
        first, second = np.random.default_rng(10 + seed).standard_normal((2, 96, 96, 96)).astype(np.float32)
        local = local_fsc(first, second, PIXEL)
        places.append(float((local.last_shell() > 0).mean()))
        bands.append(float((local.correlation > local.significant).mean()))
    claims.measured("noise: share of places with a resolution", float(np.mean(places)), at_most=0.001)
    claims.measured("noise: share of correlations that are called significant", float(np.mean(bands)), at_most=0.002)


def test_ribosome_against_its_true_density(shared, tmp_path, claims):
    """RELION's half-maps. The oracle's local resolution is that of their average against the true density, at FSC 0.5.

    The null mirrors the box, so that every place gets the figure of another.
    """
    data = shared / "data/simulated/ribosome"
    truth = read_map(data / "truth_class1.mrc")
    outline = mask_from_map(truth.data, truth.pixel_size_angstrom)
    mask = shared / "data/simulated/ribosome_errors/mask.mrc"
    halves = ("--half1", data / "relion/half1.mrc", "--half2", data / "relion/half2.mrc", "--mask", mask)
    tomobayes("local-resolution", *halves, "--o", tmp_path / "local")
    tomobayes("postprocess", *halves, "--o", tmp_path / "whole")
    found = np.log(read_map(tmp_path / "local/locres.mrc").data)
    average = 0.5 * (read_map(data / "relion/half1.mrc").data + read_map(data / "relion/half2.mrc").data)
    known = np.log(resolution_map(local_fsc(average, truth.data, truth.pixel_size_angstrom, read_map(mask).data), 0.5))
    inside = outline > 0.5
    claims.measured(
        "ribosome: correlation of local resolution with that against the truth",
        float(np.corrcoef(found[inside], known[inside])[0, 1]),
        at_least=0.85,
        null=float(np.corrcoef(found[::-1, ::-1, ::-1][inside], known[inside])[0, 1]),
    )
    claims.measured(
        "ribosome: median error of the local resolution, %", 100 * float(np.median(np.abs(np.expm1(found - known))[inside])), at_most=10
    )
    local, whole = (_likeness(tmp_path / name, truth.data, inside) for name in ("local/locres_filtered.mrc", "whole/postprocess.mrc"))
    claims.measured("ribosome: correlation of the locally filtered map with the truth", local, at_least=whole)
    claims.measured("the same, filtered as a whole", whole)


def _likeness(path, truth: np.ndarray, inside: np.ndarray) -> float:
    return float(np.corrcoef(read_map(path).data[inside], truth[inside])[0, 1])
