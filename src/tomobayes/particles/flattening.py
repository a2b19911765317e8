"""Particles as other programs take them: one position and one orientation, in the tomogram's own frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tomobayes.model import Particles

__all__ = ["flattened"]

_SPOILT = {
    "rlnImageName", "rlnCtfImage", "rlnTomoVisibleFrames", "rlnAngleRotPrior", "rlnAngleTiltPrior", "rlnAnglePsiPrior",
    "rlnOriginXPriorAngst", "rlnOriginYPriorAngst", "rlnOriginZPriorAngst",
}  # fmt: skip
"""Columns whose meaning hangs on the frame in which a particle was extracted."""


def flattened(particles: Particles) -> Particles:
    """The same particles with origins applied to positions, and subtomograms' orientations to angles.

    Position = extraction point - A_sub·origin; rotation = A_sub·A_part. Stored images and angular priors belong to the frame that is
    given up, and go with it.
    """
    none = np.full(len(particles), np.nan)
    return replace(
        particles,
        position_angstrom=particles.centre_angstrom,
        origin_angstrom=np.zeros_like(particles.origin_angstrom),
        rotation_subtomogram=np.tile(np.eye(3), (len(particles), 1, 1)),
        rotation_particle=particles.rotation,
        tilt_prior_degrees=none,
        psi_prior_degrees=none,
        rot_prior_degrees=none,
        stacks=None,
        subtomograms=None,
        visible=None,
        columns={label: cells for label, cells in particles.columns.items() if label not in _SPOILT},
    )
