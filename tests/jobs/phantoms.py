"""Maps with a known answer."""

from __future__ import annotations

import numpy as np


def ball(box: int = 24, diameter_px: float = 10.0) -> np.ndarray:
    """A ball of density 1, off the centre."""
    z, y, x = np.indices((box, box, box)) - box // 2
    return ((z**2 + y**2 + (x - 2) ** 2) <= (diameter_px / 2) ** 2).astype(np.float32)
