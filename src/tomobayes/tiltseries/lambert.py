"""How strong the signal of each tilt is if ice of one thickness and direction lets it through (eqs 21-22)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Lambert", "about_axis", "fit_lambert", "lambert_scale", "normal_of"]

Float = NDArray[np.float64]

STEPS = 100


@dataclass(frozen=True)
class Lambert:
    """Lambert's law of one tilt series, a = a₀·κ^(1/|n·z|).

    Parameters
    ----------
    luminance : a₀; thickness : -ln κ
    inclination_radians : angle of the ice's normal from the tomogram's z, about the tilt axis
    errors : (3,) standard deviations of the logarithm of the luminance, the thickness and the inclination
    """

    luminance: float
    thickness: float
    inclination_radians: float
    errors: Float


def lambert_scale(law: Lambert, tilt_radians: Float) -> Float:
    """(F,) scales at angles of the beam about the tilt axis (eq 21)."""
    return np.asarray(law.luminance * np.exp(-law.thickness / np.abs(np.cos(tilt_radians - law.inclination_radians))))


def about_axis(rotation: Float) -> tuple[Float, Float]:
    """(F,) angle of the beam about the tilt axis, from the tomogram's z, and the (3, 2) directions, up and across, it turns between.

    Parameters
    ----------
    rotation : (F, 3, 3) tomogram -> image; the beam is the third row, and the axis what is most nearly perpendicular to all beams
    """
    beam = rotation[:, 2]
    axis = np.linalg.svd(beam)[2][2]
    across = np.cross(axis, [0.0, 0.0, 1.0])
    across = across / np.linalg.norm(across)
    up = np.cross(across, axis)
    return np.arctan2(beam @ across, beam @ up), np.stack([up, across], -1)


def normal_of(inclination_radians: float, directions: Float) -> Float:
    """(3,) normal of the ice in the tomogram's frame, perpendicular to the tilt axis; directions as of `about_axis`."""
    return np.asarray(directions @ [np.cos(inclination_radians), np.sin(inclination_radians)])


def fit_lambert(
    scale: Sequence[Float], weight: Sequence[Float], tilt_radians: Sequence[Float], common_luminance: bool = True
) -> tuple[Lambert, ...]:
    """The laws that make the images most likely.

    Parameters
    ----------
    scale : (F,) of each series, each tilt by itself; weight : its inverse variance, which is H/a² of the scale a that H was measured
        with (eq 22 as printed, Σ(Ha - G)², counts a tilt with H²)
    tilt_radians : (F,) of the beam about the tilt axis
    common_luminance : whether all series share one a₀
    """
    if not common_luminance:
        return tuple(_fit([a], [w], [t])[0] for a, w, t in zip(scale, weight, tilt_radians, strict=True))
    return _fit(scale, weight, tilt_radians)


def _fit(own: Sequence[Float], weight: Sequence[Float], tilt: Sequence[Float]) -> tuple[Lambert, ...]:
    """Levenberg-Marquardt on (ln a₀, thickness and inclination of each series)."""
    n = len(own)
    value = np.zeros(1 + 2 * n)
    value[1::2] = 0.3
    brightest = float(np.mean([np.average(a, weights=w + 1e-30) for a, w in zip(own, weight, strict=True)]))
    value[0] = np.log(max(brightest, 1e-6)) + 0.4
    damping, cost = 1e-3, _cost(value, own, weight, tilt)
    for _ in range(STEPS):
        slope, information = _slope_information(value, own, weight, tilt)
        change = np.linalg.solve(information + damping * np.diag(np.diag(information) + 1e-9), slope)
        tried = value + change
        tried[1::2] = tried[1::2].clip(0, 10)
        tried[2::2] = tried[2::2].clip(-0.7, 0.7)
        after = _cost(tried, own, weight, tilt)
        if after <= cost:
            done = cost - after < 1e-9 * (1 + cost)
            value, cost, damping = tried, after, 0.3 * damping
            if done:
                break
        else:
            damping *= 5
    covariance = np.linalg.pinv(_slope_information(value, own, weight, tilt)[1])
    error = np.sqrt(np.diag(covariance).clip(0))
    return tuple(
        Lambert(float(np.exp(value[0])), float(value[1 + 2 * i]), float(value[2 + 2 * i]), error[[0, 1 + 2 * i, 2 + 2 * i]])
        for i in range(n)
    )


def _model(value: Float, index: int, tilt: Float) -> Float:
    return np.asarray(np.exp(value[0] - value[1 + 2 * index] / np.abs(np.cos(tilt - value[2 + 2 * index]))))


def _cost(value: Float, own: Sequence[Float], weight: Sequence[Float], tilt: Sequence[Float]) -> float:
    return sum(0.5 * float((w * (_model(value, i, t) - a) ** 2).sum()) for i, (a, w, t) in enumerate(zip(own, weight, tilt, strict=True)))


def _slope_information(value: Float, own: Sequence[Float], weight: Sequence[Float], tilt: Sequence[Float]) -> tuple[Float, Float]:
    slope, information = np.zeros(len(value)), np.zeros((len(value), len(value)))
    for i, (a, w, t) in enumerate(zip(own, weight, tilt, strict=True)):
        model, cosine = _model(value, i, t), np.cos(t - value[2 + 2 * i])
        # d/dφ exp(-τ/cos(t-φ)) = exp(…)·τ·sin(t-φ)/cos²(t-φ)
        bend = value[1 + 2 * i] * np.sin(t - value[2 + 2 * i]) / cosine**2
        derivative = np.stack([model, -model / np.abs(cosine), model * bend * np.sign(cosine)])
        place = [0, 1 + 2 * i, 2 + 2 * i]
        slope[place] += derivative @ (w * (a - model))
        information[np.ix_(place, place)] += (derivative * w) @ derivative.T
    return slope, information
