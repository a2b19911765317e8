"""Maps coloured by another quantity: their central slices, and their surfaces seen along the axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomobayes.model import Map
from tomobayes.report.content import ColourBar, Slices
from tomobayes.report.surface import Surface, first_surface

__all__ = ["ColourScale", "coloured_slices", "coloured_surfaces"]

Float32 = NDArray[np.float32]

_BLUE_TO_RED = ("#4668e0", "#3a9ae0", "#4fc9a6", "#b9dc5a", "#f8d447", "#f28a2e", "#c9252b")
_GROUND = 12.0
"""Grey value of what lies behind a surface."""


@dataclass(frozen=True)
class ColourScale:
    """Colours from blue (low) by green and yellow to red (high) for a quantity."""

    label: str
    unit: str
    low: float
    high: float

    def colour(self, values: Float32) -> Float32:
        """(...) values -> (..., 3) red, green and blue from 0 to 255."""
        share = np.clip((values - self.low) / max(self.high - self.low, 1e-9), 0, 1) * (len(_BLUE_TO_RED) - 1)
        stops = np.array([[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in _BLUE_TO_RED], dtype=np.float32)
        return np.stack([np.interp(share, np.arange(len(stops)), stops[:, channel]) for channel in range(3)], -1).astype(np.float32)

    @property
    def bar(self) -> ColourBar:
        """What the colours mean."""
        return ColourBar(self.label, self.unit, self.low, self.high, _BLUE_TO_RED)


def coloured_slices(map_: Map, values: Float32, scale: ColourScale, title: str, name: str, caption: str = "") -> Slices:
    """The three central slices of a map: brightness is density, colour the quantity.

    Parameters
    ----------
    values : (n, n, n) the quantity, on the map's own voxels
    """
    centre = map_.box // 2
    density, quantity = ({"xy": data[centre], "xz": data[:, centre], "yz": data[:, :, centre]} for data in (map_.data, values))
    low, high = np.percentile(np.stack(list(density.values())), [40, 99.7])
    images = {label: _lit(quantity[label], (plane - low) / max(high - low, 1e-9), scale) for label, plane in density.items()}
    return Slices(title, name, images, map_.pixel_size_angstrom, caption, scale.bar)


def coloured_surfaces(map_: Map, values: Float32, level: float, scale: ColourScale, title: str, name: str, caption: str = "") -> Slices:
    """The surface at a density, shaded, seen along z, y and x so that each view is turned as the slice of the same name."""
    looks: Mapping[str, tuple[Float32, Float32]] = {
        "xy, seen from +z": (map_.data[::-1], values[::-1]),
        "xz, seen from −y": (map_.data.transpose(1, 0, 2), values.transpose(1, 0, 2)),
        "yz, seen from +x": (map_.data.transpose(2, 0, 1)[::-1], values.transpose(2, 0, 1)[::-1]),
    }
    images = {}
    for label, (density, quantity) in looks.items():
        surface = first_surface(density, level)
        images[label] = _lit(_at(surface, quantity), surface.brightness, scale, ground=~surface.hit)
    return Slices(title, name, images, map_.pixel_size_angstrom, caption, scale.bar)


def _at(surface: Surface, quantity: Float32) -> Float32:
    rows, columns = np.indices(surface.hit.shape)
    return np.asarray(quantity[surface.depth.round().astype(int), rows, columns])


def _lit(quantity: Float32, brightness: Float32, scale: ColourScale, ground: NDArray[np.bool_] | None = None) -> NDArray[np.uint8]:
    """Colours times brightness (0 to 1), first row at the bottom."""
    image = scale.colour(quantity) * np.clip(brightness, 0, 1)[..., None]
    if ground is not None:
        image[ground] = _GROUND
    return np.asarray(image[::-1].round().astype(np.uint8))
