"""Where an axis is marked, and how numbers are written on it."""

from __future__ import annotations

import math

__all__ = ["format_number", "nice_range", "nice_ticks", "resolution_ticks"]

_NICE_RESOLUTIONS = (
    200,
    100,
    50,
    30,
    20,
    15,
    12,
    10,
    9,
    8,
    7,
    6,
    5,
    4.5,
    4,
    3.5,
    3,
    2.8,
    2.6,
    2.4,
    2.2,
    2,
    1.8,
    1.6,
    1.5,
    1.4,
    1.3,
    1.2,
    1.1,
    1,
)
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def nice_ticks(low: float, high: float, at_most: int = 6) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten within [low, high], no more than ``at_most`` of them."""
    if not high > low:
        return [low]
    rough = (high - low) / max(at_most - 1, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def nice_range(low: float, high: float, at_most: int = 6) -> tuple[float, float]:
    """A range around [low, high] that ends on its own ticks."""
    if not high > low:
        margin = abs(low) * 0.1 or 1.0
        low, high = low - margin, high + margin
    ticks = nice_ticks(low, high, at_most)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else high - low
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


def resolution_ticks(low: float, high: float, separation: float) -> list[float]:
    """Spatial frequencies (1/Å) within [low, high] whose resolution is a round number of Å, at least ``separation`` apart."""
    ticks: list[float] = []
    for resolution in _NICE_RESOLUTIONS:
        frequency = 1 / resolution
        if low <= frequency <= high * (1 + 1e-9) and (not ticks or frequency - ticks[-1] >= separation):
            ticks.append(frequency)
    return ticks


def format_number(value: float, digits: int = 4) -> str:
    """A number as a reader wants it: no trailing zeros, thousands apart, a true minus sign, powers of ten where they help."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e7:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return _plain(mantissa) + "·10" + str(int(exponent)).translate(_SUPERSCRIPTS)
    decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    return _plain(f"{value:,.{decimals}f}")


def _plain(text: str) -> str:
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", "−").replace(",", "\u202f")
