"""Point groups, with their axes where RELION has them, and the part of orientation space they leave to search."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

__all__ = ["fundamental_domain", "is_subgroup", "lattice_rotations", "point_group", "representatives"]

Float = NDArray[np.float64]

_X, _Y, _Z = np.eye(3)
_GOLDEN = (1 + 5**0.5) / 2
_TILT_OF_FIVEFOLD = np.arctan(1 / _GOLDEN)
_GENERIC_ROTATION_VECTOR = (0.0123, -0.0217, 0.0071)


def point_group(symbol: str) -> Float:
    """Rotations of a point group, identity first.

    ======  =================================================================================
    symbol  generators (n-fold: rotation by 360°/n about the axis)
    ======  =================================================================================
    Cn      n-fold about z
    Dn      n-fold about z, 2-fold about x
    T       3-fold about z, 2-fold about (0, √2, 1)
    O       4-fold about z, 3-fold about (1, 1, 1)
    I1      2-folds about x, y and z, 5-fold about (0, 1, φ): front-most vertices in the yz plane
    I2, I   2-folds about x, y and z, 5-fold about (1, 0, φ): front-most vertices in the xz plane
    I3      5-fold about z, 2-fold about y and about (-1, 0, φ)
    I4      5-fold about z, 2-fold about y and about (1, 0, φ)
    ======  =================================================================================

    φ is the golden ratio. T has its 3-fold on z, unlike Heymann, Chagoyen & Belnap (2005).

    Parameters
    ----------
    symbol : Schoenflies symbol in either case

    Returns
    -------
    (G, 3, 3) rotations g of the reference; a map V has the symmetry if V(g·x) = V(x)
    """
    name = symbol.strip().upper()
    if match := re.fullmatch(r"([CD])([1-9]\d*)", name):
        cyclic = np.stack([_about(_Z, 2 * np.pi * step / int(match[2])) for step in range(int(match[2]))])
        return cyclic if match[1] == "C" else np.concatenate([cyclic, cyclic @ _fold(2, _X)])
    if name not in _GENERATORS:
        possible = "C1, C2, ..., D1, D2, ..., T, O, I (the same as I2), I1, I2, I3 and I4"
        raise ValueError(f"'{symbol}' is not a point group known here; possible are {possible}")
    return _closure(_GENERATORS[name])


def fundamental_domain(rotations: Float, group: Float) -> NDArray[np.bool_]:
    """Mark the rotations that are needed when A and A·g look the same for every g of the group.

    Of the rotations A·g that look like A, the one nearest to a fixed rotation represents them all. That rotation is
    close to the identity but in no special direction, so that no two mates are equally near and each is kept once.

    Parameters
    ----------
    rotations : (O, 3, 3) reference -> image (or tomogram)
    group : (G, 3, 3) as from :func:`point_group`

    Returns
    -------
    (O,) True for a share of 1/G of the rotations
    """
    mates = np.einsum("gij,kj->gik", group, _about(np.array(_GENERIC_ROTATION_VECTOR)))
    closeness = rotations.reshape(-1, 9) @ mates.transpose(0, 2, 1).reshape(-1, 9).T
    return np.asarray(closeness[:, 0] >= closeness.max(1) - 1e-9)


def lattice_rotations(group: Float) -> Float:
    """Rotations of a group that map a cubic grid onto itself, (G, 3, 3) -> (H, 3, 3): 24 of O, 12 of I1 and I2, 2 of C6, 1 of T.

    Applied to values on such a grid they only exchange them: nothing has to be interpolated.
    """
    whole = np.abs(group - np.rint(group)).max((1, 2)) < 1e-9
    return np.asarray(np.rint(group[whole]))


def is_subgroup(subgroup: Float, group: Float) -> bool:
    """Whether every rotation of one group, axes included, is one of the other, (H, 3, 3) and (G, 3, 3)."""
    return bool((np.abs(subgroup[:, None] - group).max((2, 3)).min(1) < 1e-6).all())


def representatives(group: Float, subgroup: Float) -> Float:
    """One rotation r of each left coset r·H, identity first, (G, 3, 3) and (H, 3, 3) -> (G/H, 3, 3).

    Every rotation of the group is r·h for one r and one h of the subgroup.
    """
    chosen: list[Float] = []
    for rotation in group:
        steps = np.einsum("rji,jk->rik", np.array(chosen).reshape(-1, 3, 3), rotation)
        if not (np.abs(steps[:, None] - subgroup).max((2, 3)) < 1e-6).any():
            chosen.append(rotation)
    return np.stack(chosen)


def _about(axis: Float, angle: float | None = None) -> Float:
    """Rotation about an axis by an angle in radians (default: the length of the axis), Rodrigues' formula."""
    length = float(np.linalg.norm(axis))
    angle = length if angle is None else angle
    x, y, z = axis / length
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross))


def _fold(n: int, axis: Iterable[float]) -> Float:
    return _about(np.array(tuple(axis)), 2 * np.pi / n)


def _turned(generators: tuple[Float, ...], rotation: Float) -> tuple[Float, ...]:
    """The same group after the object was turned."""
    return tuple(rotation @ generator @ rotation.T for generator in generators)


def _closure(generators: tuple[Float, ...]) -> Float:
    """All products of the generators, found by multiplying until nothing new appears."""
    members = [np.eye(3)]
    for member in members:
        for generator in generators:
            product = member @ generator
            if all(np.abs(product - other).max() > 1e-6 for other in members):
                members.append(product)
    return np.stack(members)


_ICOSAHEDRAL = (_fold(2, _Z), _fold(5, (1, 0, _GOLDEN)), _fold(2, _X))
_GENERATORS = {
    "T": (_fold(3, _Z), _fold(2, (0, 2**0.5, 1))),
    "O": (_fold(4, _Z), _fold(3, (1, 1, 1))),
    "I": _ICOSAHEDRAL,
    "I1": _turned(_ICOSAHEDRAL, _fold(4, _Z)),
    "I2": _ICOSAHEDRAL,
    "I3": _turned(_ICOSAHEDRAL, _about(_Y, -_TILT_OF_FIVEFOLD)),
    "I4": _turned(_ICOSAHEDRAL, _about(_Y, _TILT_OF_FIVEFOLD)),
}
