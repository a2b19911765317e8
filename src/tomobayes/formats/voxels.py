"""Positions in voxels of tomograms, as most programs give them: the inverse of `poses.centred_position`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomobayes.model import Dataset, TiltSeries

__all__ = ["TomogramGrid", "numbered_names", "tomogram_file", "whole_and_rest"]

Float = NDArray[np.float64]
BINNING_LABEL, FILE_LABEL = "rlnTomoTomogramBinning", "rlnTomoReconstructedTomogram"


@dataclass(frozen=True)
class TomogramGrid:
    """The voxels of all tomograms.

    Parameters
    ----------
    binning : (S,) edge of a voxel of each tilt series' tomogram in pixels of its tilt images
    block : whether the tomogram's centre is the middle between its first and last voxel (IMOD, AreTomo) or voxel n/2 (RELION)
    """

    binning: tuple[float, ...]
    block: bool = False

    @classmethod
    def of(cls, tilt_series: Sequence[TiltSeries], binning: float | None = None, *, block: bool = False) -> TomogramGrid:
        """Of the binning given, else that of the tomograms RELION reconstructed, else 1."""
        known = [float(one.globals_.get(BINNING_LABEL, 1)) for one in tilt_series]
        return cls(tuple([binning] * len(known) if binning is not None else known), block)

    def voxel_angstrom(self, tilt_series: Sequence[TiltSeries]) -> Float:
        """(S,) edge of a voxel."""
        return np.array(self.binning) * [one.pixel_size_angstrom for one in tilt_series]

    def size(self, series: TiltSeries, index: int) -> tuple[int, int, int]:
        """(x, y, z) of the tomogram of tilt series ``index`` in its voxels."""
        x, y, z = (max(1, round(edge / self.binning[index])) for edge in series.tomogram_size)
        return x, y, z

    def voxels(self, dataset: Dataset, *, first: int) -> Float:
        """(P, 3) where the particles' centres are, in voxels; ``first`` (0 or 1) is the number of the first voxel."""
        rows = dataset.particles.tilt_series
        edge = self.voxel_angstrom(dataset.tilt_series)[rows, None]
        pixel = np.array([one.pixel_size_angstrom for one in dataset.tilt_series])
        extent = np.array([one.tomogram_size for one in dataset.tilt_series]) * pixel[:, None]
        index: Float = (dataset.particles.centre_angstrom + extent[rows] / 2) / edge - (0.5 if self.block else 0.0)
        return index + first


def whole_and_rest(voxels: Float) -> tuple[Float, Float]:
    """(P, 3) nearest whole voxels, and what is left to the position: programs that cut boxes at whole voxels keep the rest as a shift."""
    whole = np.round(voxels)
    return whole, voxels - whole


def tomogram_file(series: TiltSeries) -> str:
    """The tomogram's file where one was reconstructed, else what it would be called."""
    return series.globals_.get(FILE_LABEL) or f"{series.name}.mrc"


def numbered_names(tilt_series: Sequence[TiltSeries]) -> list[str]:
    """Lines "number file" for programs that know tomograms by number, which is their row counted from 1."""
    return [f"{number} {tomogram_file(series)}" for number, series in enumerate(tilt_series, start=1)]
