"""Parameters of ``clean-lattice``."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, PositiveFloat, model_validator

from tomobayes.jobs.parameters.base import JobParameters
from tomobayes.jobs.parameters.dataset import DatasetParameters

__all__ = ["CleanLattice"]


class CleanLattice(DatasetParameters, JobParameters):
    """Particles whose neighbours stand where a lattice has them. Places and turns are learned from the neighbours themselves."""

    verb: ClassVar[str] = "clean-lattice"
    folder: ClassVar[str] = "Select"

    sym: str = Field("C1", description="Symmetry of the particle.")
    distance: PositiveFloat | None = Field(None, description="Distance (Å) of nearest neighbours; without it, that of the clearest spot.")
    angle: PositiveFloat | None = Field(
        None,
        le=180,
        description="Learn no places: neighbours at --distance that are turned by at most this (degrees) fit, on whichever side they are.",
    )
    tolerance: PositiveFloat | None = Field(
        None, description="How far (Å) from its place a neighbour may stand; without it, a sixth of the distance."
    )
    tolerance_angle: PositiveFloat = Field(
        20.0, le=180, description="How far (degrees) a neighbour may be turned from what is usual there."
    )
    min_neighbours: PositiveFloat = Field(
        1.0,
        description="Keep particles for which so many neighbours speak: those at their places, less those close by that stand elsewhere, "
        "each counting as much as neighbours speak for it (tomobayesLatticeSupport).",
    )

    @model_validator(mode="after")
    def _an_angle_at_a_distance(self) -> CleanLattice:
        if self.angle is not None and self.distance is None:
            raise ValueError("--angle needs the --distance at which neighbours stand")
        if self.angle is not None and "tolerance_angle" in self.model_fields_set:
            raise ValueError("--tolerance-angle belongs to learned places: with --angle leave it out")
        return self
