"""What is true in the images and told nowhere: aberrations, anisotropic magnification, deformation of the images."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from tomobayes.geometry.deformation import displacement
from tomobayes.model import Dataset, Deformation, DeformationKind, Optics, TiltSeries
from tomobayes.model.deformation import coefficient_count

__all__ = ["Unknowns", "with_unknowns"]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Unknowns:
    """How much of each is planted; directions and shapes are drawn at random.

    Parameters
    ----------
    trefoil_degrees, coma_degrees, tetrafoil_degrees : largest phase at the images' Nyquist frequency; it grows with the third power of the
        frequency, the tetrafoil's with the fourth
    aniso_magnification : by what fraction the largest magnification exceeds the least; their mean is 1
    deformation : kind of the displacement of projected points, or None
    deformation_angstrom : rms displacement (both axes together) over the image, about its mean
    deformation_grid : (width, height), see model.Deformation
    deformation_per_tilt : whether tilts are deformed differently, or all of a series alike
    """

    trefoil_degrees: float = 0.0
    coma_degrees: float = 0.0
    tetrafoil_degrees: float = 0.0
    aniso_magnification: float = 0.0
    deformation: DeformationKind | None = None
    deformation_angstrom: float = 5.0
    deformation_grid: tuple[int, int] = (3, 3)
    deformation_per_tilt: bool = False


def with_unknowns(known: Dataset, unknowns: Unknowns, random: np.random.Generator) -> Dataset:
    """The truth of an experiment of which ``known`` is what will be told."""
    finest = 0.5 / known.tilt_series[0].pixel_size_angstrom
    optics = tuple(_aberrant(one, unknowns, finest, random) for one in known.optics)
    series = known.tilt_series
    if unknowns.deformation is not None:
        series = tuple(replace(one, deformation=_deformation(one, unknowns.deformation, unknowns, random)) for one in series)
    return replace(known, optics=optics, tilt_series=series)


def _aberrant(optics: Optics, unknowns: Unknowns, finest: float, random: np.random.Generator) -> Optics:
    trefoil, coma, tetrafoil, stretched = random.uniform(0, 2 * math.pi, 4)
    # In RELION's order. Z(3, ±1) is 3ρ³ - 2ρ times a cosine or sine: with Z(1, ±1) the linear part, a mere shift, is taken out.
    third = np.radians(unknowns.coma_degrees) / finest**3 * np.array([math.sin(coma), math.cos(coma)]) / 3
    three = np.radians(unknowns.trefoil_degrees) / finest**3 * np.array([math.sin(trefoil), math.cos(trefoil)])
    four = np.radians(unknowns.tetrafoil_degrees) / finest**4 * np.array([math.sin(tetrafoil), math.cos(tetrafoil)])
    odd = [*(2 * third), three[0], *third, three[1]]
    even = [0.0, 0.0, 0.0, 0.0, four[0], 0.0, 0.0, 0.0, four[1]]
    half = 0.5 * unknowns.aniso_magnification
    cosine, sine = half * math.cos(stretched), half * math.sin(stretched)
    stretch = np.array([[1 + cosine, sine], [sine, 1 - cosine]]) @ np.array(optics.magnification)
    return replace(
        optics,
        even_zernike=_sum(optics.even_zernike, even),
        odd_zernike=_sum(optics.odd_zernike, odd),
        magnification=((float(stretch[0, 0]), float(stretch[0, 1])), (float(stretch[1, 0]), float(stretch[1, 1]))),
    )


def _sum(known: Sequence[float], planted: Sequence[float]) -> tuple[float, ...]:
    if not any(planted):
        return tuple(known)
    return tuple(float(a + b) for a, b in itertools.zip_longest(known, planted, fillvalue=0.0))


def _deformation(series: TiltSeries, kind: DeformationKind, unknowns: Unknowns, random: np.random.Generator) -> Deformation:
    if series.image_size is None:
        raise ValueError(f"{series.name} has no image size")
    grid = (1, 1) if kind == "affine" else unknowns.deformation_grid
    rows = series.n_tilts if unknowns.deformation_per_tilt else 1
    drawn = random.standard_normal((rows, coefficient_count(kind, grid)))
    if kind == "spline":
        nodes = drawn.reshape(rows, 2, -1, 4) * [1.0, 0.5, 0.5, 0.25]  # gentle slopes, gentler twists
        nodes[..., 0] -= _displaced(kind, nodes.reshape(rows, -1), series.image_size, grid).mean(1)[..., None]
        drawn = nodes.reshape(rows, -1)
    moved = _displaced(kind, drawn, series.image_size, grid)
    rms = np.sqrt(np.square(moved - moved.mean(1, keepdims=True)).sum(-1).mean(1))
    scaled = drawn * (unknowns.deformation_angstrom / series.pixel_size_angstrom / rms)[:, None]
    return Deformation(kind, scaled if unknowns.deformation_per_tilt else scaled[0], grid)


def _displaced(kind: DeformationKind, coefficients: Float, image_size: tuple[int, int], grid: tuple[int, int]) -> Float:
    """(rows, points, 2) displacements on a raster over the image, in pixels."""
    axes = (torch.linspace(0, size, 33, dtype=torch.float64) for size in image_size)
    points = torch.cartesian_prod(*axes)
    return displacement(kind, torch.from_numpy(coefficients)[:, None], points, image_size, grid).numpy()
