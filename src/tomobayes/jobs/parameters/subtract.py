"""Parameters of ``subtract``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field, PositiveFloat, model_validator

from tomobayes.jobs.parameters.base import JobParameters
from tomobayes.jobs.parameters.dataset import DatasetParameters

__all__ = ["Subtract"]


class Subtract(DatasetParameters, JobParameters):
    """Signal outside a mask, taken off the tilt images whenever they are read from now on: no images are written."""

    verb: ClassVar[str] = "subtract"
    folder: ClassVar[str] = "Subtract"

    mask: Path = Field(description="Soft mask, 0 to 1, of the part whose signal is to stay.")
    ref1: Path | None = Field(None, description="Unfiltered half-map of the first half-set, in place of the optimisation set's.")
    ref2: Path | None = Field(None, description="Unfiltered half-map of the second half-set.")
    ref: Path | None = Field(None, description="One map for all particles, taken as it is, in place of half-maps.")
    particle_diameter: PositiveFloat | None = Field(
        None, description="Diameter (Å) of the particle: nothing is subtracted beyond it; without it, the box."
    )
    recentre: bool = Field(False, description="Move the particles to the middle of the mask, for a smaller box around the part.")

    @model_validator(mode="after")
    def _one_kind_of_reference(self) -> Subtract:
        if (self.ref1 is None) != (self.ref2 is None):
            raise ValueError("--ref1 and --ref2 belong together: give both or neither")
        if self.ref is not None and self.ref1 is not None:
            raise ValueError("give one reference with --ref or two with --ref1 and --ref2, not both")
        return self
