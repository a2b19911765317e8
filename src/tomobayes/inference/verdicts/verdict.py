"""What independent pieces of evidence say about one of two statements."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

__all__ = ["SURE", "Answer", "Verdict", "verdict"]

Answer = Literal["right", "wrong", "undecided"]

SURE = 0.999
"""Probability from which on a statement is called right, or its opposite is."""


@dataclass(frozen=True)
class Verdict:
    """Whether something is as it was told.

    Parameters
    ----------
    nats : log likelihood of all images if it is as told, minus that if it is the other way round
    probability : that it is as told; never nearer to 0 or 1 than both `nats` and the agreement of the witnesses allow
    witnesses : how many particles (or parts of a map) were asked
    """

    nats: float
    probability: float
    witnesses: int

    @property
    def answer(self) -> Answer:
        """Which statement is believed, if any."""
        return "right" if self.probability >= SURE else "wrong" if self.probability <= 1 - SURE else "undecided"


def verdict(ratios: NDArray[np.float64], mutual: bool = False) -> Verdict:
    """Weigh log likelihood ratios (n,) of independent witnesses, in nats, positive in favour of what was told.

    Parameters
    ----------
    mutual : whether each was judged beside a reference made of the others. What two witnesses have in common is then in the ratios
        of both, and their sum scatters with twice the variance that theirs tell.

    If the noise were known exactly, the posterior odds would be exp(Σ ratios). It is not: what the model leaves out (neighbours, wrong
    poses, a poor reference) enters each ratio as noise of unknown size. The mean ratio of the witnesses is therefore also judged by their
    own scatter, Student's posterior of a mean, and the less certain of the two is believed. Where nothing can be told, ratios scatter
    around zero and the second is beyond `SURE` by chance in one of 1000 sets only, however large they are.
    """
    found = np.asarray(ratios, dtype=np.float64)
    total, n = float(found.sum()), len(found)
    if n < 2 or not total:
        return Verdict(total, 0.5, n)
    error = float(found.std(ddof=1)) / math.sqrt(n / 2 if mutual else n)
    by_scatter = float(stdtr(n - 1, abs(total) / n / error)) if error > 0 else 1.0
    certainty = min(by_scatter, 1 / (1 + math.exp(-abs(total))))
    return Verdict(total, certainty if total > 0 else 1 - certainty, n)
