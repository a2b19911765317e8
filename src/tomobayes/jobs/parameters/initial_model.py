"""Parameters of ``initial-model``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from tomobayes.jobs.parameters.compute import ComputeParameters
from tomobayes.jobs.parameters.images import ImageParameters

__all__ = ["InitialModel"]


class InitialModel(ImageParameters, ComputeParameters):
    """First maps from positions alone, without any reference."""

    verb: ClassVar[str] = "initial-model"
    folder: ClassVar[str] = "InitialModel"

    free_to_change: ClassVar[frozenset[str]] = ComputeParameters.free_to_change | {"keep_iterations"}

    particle_diameter: PositiveFloat = Field(description="Diameter (Å) of the particle.")
    mask: Path | None = Field(None, description="Soft solvent mask, 0 to 1; without it, a sphere of the particle's diameter.")
    classes: PositiveInt = Field(1, le=20, description="Number of maps.")
    sym: str = Field(
        "C1", description="Point group: Cn, Dn, T, O or I. The last of several starts is made without it, and its axes found afterwards."
    )
    strict_highres_exp: PositiveFloat | None = Field(
        None, description="Compare images up to this resolution (Å) only; without it, to an eighth of the diameter."
    )
    starts: PositiveInt = Field(4, description="First maps to try, of which the one that best explains other images is gone on from.")
    iter: PositiveInt = Field(14, description="Steps of each start; half as many follow with the best, and with its symmetry.")
    batch: PositiveInt = Field(60, description="Particles of a step: all where there are fewer, others in turn.")
    offset_range: PositiveFloat | None = Field(None, description="Largest shift tried (Å); without it, three times --offset-sigma.")
    offset_sigma: PositiveFloat = Field(10.0, description="Width (Å, per axis) of the prior on shifts.")
    sigma_tilt: PositiveFloat | None = Field(None, description="Width (degrees) of a prior on the tilt around rlnAngleTiltPrior.")
    sigma_psi: PositiveFloat | None = Field(None, description="Width (degrees) of a prior on psi around rlnAnglePsiPrior.")
    sigma_rot: PositiveFloat | None = Field(None, description="Width (degrees) of a prior on rot around rlnAngleRotPrior.")
    tau2_fudge: PositiveFloat = Field(1.0, description="Trust the data's spectrum more (> 1) or less (< 1) than their FSC says.")
    keep_iterations: PositiveInt = Field(2, description="Keep maps and checkpoints of so many steps.")
    random_seed: NonNegativeInt = Field(0, description="Seed of everything that is left to chance.")
