"""What is shown of aberrations: phases as measured and as fitted, along four directions of the image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tomobayes.model import Dataset
from tomobayes.report import Axis, Chart, Finding, Series, Table, format_number
from tomobayes.tiltseries.aberrations import AberrationResult, Parity
from tomobayes.tiltseries.condensed import Condensed
from tomobayes.tiltseries.magnification import MagnificationResult

__all__ = ["aberration_charts", "aberration_findings", "magnification_table"]

Float = NDArray[np.float64]

DIRECTIONS_DEGREES = (0.0, 45.0, 90.0, 135.0)
BINS = 12


def aberration_charts(dataset: Dataset, results: Sequence[AberrationResult]) -> Iterator[Chart]:
    """One chart for each optics group and parity: lines as fitted, points as the images within 22.5° of the direction have it."""
    for result in results:
        finest = max(float(np.linalg.norm(one.frequency, axis=1).max()) for one in result.sums)
        radius = np.linspace(0, finest, 40)
        series = []
        for degrees in DIRECTIONS_DEGREES:
            direction = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
            phase, _ = result.found.phase(radius[:, None] * direction, result.parity)
            series.append(Series(f"{degrees:.0f}°", radius.tolist(), np.degrees(phase).tolist()))
            x, y = _measured(result.sums, direction, finest, result.parity)
            series.append(Series(f"{degrees:.0f}°, measured", x.tolist(), np.degrees(y).tolist(), "points"))
        kind = "Antisymmetric" if result.parity.odd else "Symmetric"
        title = f"{kind} phase of {dataset.optics[result.group].name}"
        caption = "The change that was found, counter-clockwise from the images' x axis."
        yield Chart(title, Axis("Resolution", "Å", "resolution", low=0.0, high=finest), Axis("Phase", "°"), series, caption=caption)


def _measured(sums: Sequence[Condensed], direction: Float, finest: float, parity: Parity) -> tuple[Float, Float]:
    """Middle of each ring and the phase that its samples near a direction agree best with."""
    agreement, weight = np.zeros(BINS), np.zeros(BINS)
    for one in sums:
        along = one.frequency @ direction / np.maximum(np.linalg.norm(one.frequency, axis=1), 1e-12)
        near = np.abs(along) > np.cos(np.radians(22.5))
        ring = np.minimum((BINS * np.linalg.norm(one.frequency, axis=1) / finest).astype(np.int64), BINS - 1)[near]
        s, c = one.agreement[:, 0].sum(0)[:, near]
        _, sc, cc = one.power[:, 0].sum(0)[:, near]
        # The other half of the plane says the same of symmetric phases and the opposite of antisymmetric ones.
        slope = -s.imag * np.sign(along[near]) if parity.odd else sc - c.real
        strength = s.real if parity.odd else cc
        agreement += np.bincount(ring, slope, BINS)
        weight += np.bincount(ring, strength, BINS)
    known = weight > 1e-6 * weight.max()
    middle = finest * (np.arange(BINS) + 0.5) / BINS
    return middle[known], agreement[known] / weight[known]


def aberration_findings(
    dataset: Dataset, results: Sequence[AberrationResult], stretches: Sequence[MagnificationResult]
) -> Iterator[Finding]:
    """Which optics groups changed."""
    for result in results:
        what = f"{'antisymmetric' if result.parity.odd else 'symmetric'} aberrations"
        yield _finding(dataset.optics[result.group].name, what, result.gain)
    for stretch in stretches:
        yield _finding(dataset.optics[stretch.group].name, "anisotropic magnification", stretch.gain)


def _finding(name: str, what: str, gain: float) -> Finding:
    if gain > 0:
        return Finding("good", f"Optics group {name}: new {what}; particles held out are explained better by {gain:.1f} nats.")
    return Finding(
        "note", f"Optics group {name}: {what} as before: new ones do not explain particles that were held out ({gain:+.1f} nats)."
    )


def magnification_table(dataset: Dataset, results: Sequence[MagnificationResult]) -> Table:
    """The stretch of each optics group."""
    rows = [
        [dataset.optics[one.group].name, *(_percent(value, error) for value, error in zip(one.stretch, one.error, strict=True)), _kept(one)]
        for one in results
    ]
    columns = ["Optics group", "Along x against y (%)", "Along the diagonals (%)", "Kept"]
    return Table("Anisotropic magnification", columns, rows, "Change of M = [[1 + a, b], [b, 1 - a]], with standard errors.")


def _percent(value: float, error: float) -> str:
    return f"{format_number(100 * value, 3)} ± {format_number(100 * error, 2)}"


def _kept(result: MagnificationResult) -> str:
    return "yes" if result.kept else "no"
