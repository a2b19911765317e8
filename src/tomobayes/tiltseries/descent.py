"""L-BFGS (Liu and Nocedal 1989) for problems whose coordinates are scaled so that a step of the gradient's length is about right."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

__all__ = ["Descent", "minimised"]

MEMORY = 20
SUFFICIENT = 1e-4
"""Share of the decrease a straight line promises that a step must bring."""
SHORTEST = 1e-6
"""A step this much shorter than the direction means that there is no way down."""

Cost = Callable[[Tensor], tuple[float, Tensor]]


@dataclass(frozen=True)
class Descent:
    """Where a descent ended: the place (N,), its cost, and how many steps led there."""

    place: Tensor
    cost: float
    steps: int


def minimised(cost: Cost, start: Tensor, enough: float, most_steps: int) -> Descent:
    """Go down until a step gains less than ``enough``.

    Parameters
    ----------
    cost : of a place (N,), and its gradient there
    """
    place, (value, gradient) = start, cost(start)
    past: deque[tuple[Tensor, Tensor]] = deque(maxlen=MEMORY)
    for step in range(most_steps):
        direction = -_curved(gradient, past)
        found = _along(cost, place, value, direction, float(gradient @ direction))
        if found is None:
            return Descent(place, value, step)
        new_place, new_value, new_gradient = found
        moved, bent = new_place - place, new_gradient - gradient
        if float(moved @ bent) > 0:
            past.append((moved, bent))
        gained = value - new_value
        place, value, gradient = new_place, new_value, new_gradient
        if gained < enough:
            return Descent(place, value, step + 1)
    return Descent(place, value, most_steps)


def _curved(gradient: Tensor, past: deque[tuple[Tensor, Tensor]]) -> Tensor:
    """The gradient over the curvature that past steps (s, y) have shown: the two-loop recursion."""
    left, shares = gradient.clone(), []
    for s, y in reversed(past):
        share = (s @ left) / (s @ y)
        shares.append(share)
        left -= share * y
    if past:
        s, y = past[-1]
        left *= (s @ y) / (y @ y)
    for (s, y), share in zip(past, reversed(shares), strict=True):
        left += (share - (y @ left) / (s @ y)) * s
    return left


def _along(cost: Cost, place: Tensor, value: float, direction: Tensor, slope: float) -> tuple[Tensor, float, Tensor] | None:
    """The first of ever shorter steps that goes down far enough: place, cost and gradient there."""
    length = 1.0
    while slope < 0 and length > SHORTEST:
        there = place + length * direction
        new_value, gradient = cost(there)
        if new_value <= value + SUFFICIENT * length * slope:
            return there, new_value, gradient
        parabola = -0.5 * slope * length / ((new_value - value) / length - slope)
        length = min(max(parabola, 0.1 * length), 0.5 * length)
    return None
