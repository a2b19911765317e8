"""Symmetry expansion: every particle in all orientations in which a symmetric reference looks the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tomobayes.model import Dataset, Particles
from tomobayes.particles.rows import with_rows

__all__ = ["expanded"]

Float = NDArray[np.float64]


def expanded(dataset: Dataset, group: Float) -> Dataset:
    """Each particle G times, one after another, with A_part·g for every g of the group: first itself, then its mates.

    Positions, half-sets and columns are the particle's. Mates are named ``NAME_sym2`` and so on. Priors on where the particle's z axis
    points are turned with that axis: they stay where g leaves it in place, point the other way where g turns it over, and in
    general keep their distance from the pose. Priors on rot are turned with the particle: under Cn by multiples of 360°/n.

    Parameters
    ----------
    group : (G, 3, 3) rotations of the reference, identity first
    """
    count, n = len(group), len(dataset.particles)
    copies = with_rows(dataset, np.repeat(np.arange(n), count))
    table = copies.particles
    operator = np.tile(np.arange(count), n)
    names = [name if mate == 0 else f"{name}_sym{mate + 1}" for name, mate in zip(table.name.tolist(), operator.tolist(), strict=True)]
    tilt, psi = _turned_priors(table, group[operator])
    mates = replace(
        table,
        name=np.array(names, dtype=np.str_),
        rotation_particle=table.rotation_particle @ group[operator],
        tilt_prior_degrees=tilt,
        psi_prior_degrees=psi,
        rot_prior_degrees=_turned_rot(table, group[operator]),
    )
    return copies.with_particles(mates)


def _turned_priors(table: Particles, group: Float) -> tuple[Float, Float]:
    """(P,) tilt and psi priors of mates A_part·g, g (P, 3, 3)."""
    axis = table.rotation_particle[:, :, 2]
    psi = np.where(np.isnan(table.psi_prior_degrees), np.degrees(np.arctan2(axis[:, 1], -axis[:, 0])), table.psi_prior_degrees)
    prior = _direction(table.tilt_prior_degrees, psi)
    turned = np.einsum("pij,pj->pi", table.rotation_particle, group[:, :, 2])
    tilt, direction = _angles(np.einsum("pij,pj->pi", _least_rotation(axis, prior), turned))
    moved = ~np.isnan(table.tilt_prior_degrees) & (np.abs(group[:, 2, 2] - 1) > 1e-9)
    return (
        np.where(moved, tilt, table.tilt_prior_degrees),
        np.where(moved & ~np.isnan(table.psi_prior_degrees), direction, table.psi_prior_degrees),
    )


def _turned_rot(table: Particles, group: Float) -> Float:
    """(P,) rot priors of mates A_part·g: where the subtomogram's z axis then points in the particle, at the pose's own tilt."""
    rot = np.radians(table.rot_prior_degrees)
    across = np.hypot(table.rotation_particle[:, 2, 0], table.rotation_particle[:, 2, 1])
    there = np.stack([across * np.cos(rot), across * np.sin(rot), table.rotation_particle[:, 2, 2]], -1)
    x, y, _ = np.einsum("pi,pij->jp", there, group)
    return np.asarray(np.degrees(np.arctan2(y, x)))


def _direction(tilt_degrees: Float, psi_degrees: Float) -> Float:
    """Where the z axis of E(rot, tilt, psi) points: its third column, (P, 3)."""
    tilt, psi = np.radians(tilt_degrees), np.radians(psi_degrees)
    return np.stack([-np.cos(psi) * np.sin(tilt), np.sin(psi) * np.sin(tilt), np.cos(tilt)], -1)


def _angles(direction: Float) -> tuple[Float, Float]:
    """Tilt and psi (degrees) of z axes."""
    x, y, z = np.moveaxis(direction, -1, 0)
    return np.degrees(np.arctan2(np.hypot(x, y), z)), np.degrees(np.arctan2(y, -x))


def _least_rotation(start: Float, end: Float) -> Float:
    """(P, 3, 3) rotations by the smallest angle that take unit vectors to others; about any normal axis where they are opposite."""
    cosine = np.einsum("pi,pi->p", start, end)
    cross = np.cross(start, end)
    x, y, z = np.moveaxis(cross, -1, 0)
    zero = np.zeros_like(x)
    skew = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(-1, 3, 3)
    opposite = cosine < -1 + 1e-9
    near = np.eye(3) + skew + skew @ skew / np.where(opposite, 1.0, 1 + cosine)[:, None, None]
    aside = np.cross(start, np.eye(3)[np.abs(start).argmin(1)])
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    over = 2 * aside[:, :, None] * aside[:, None] - np.eye(3)
    return np.asarray(np.where(opposite[:, None, None], over, near))
