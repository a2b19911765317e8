"""Parameters of ``check``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from tomobayes.jobs.parameters.base import JobParameters
from tomobayes.jobs.parameters.dataset import DatasetParameters

__all__ = ["Check"]


class Check(DatasetParameters, JobParameters):
    """All that is wrong or odd with an experiment, what was understood of it, and what its images say of its conventions."""

    verb: ClassVar[str] = "check"
    folder: ClassVar[str] = "External"
    free_to_change: ClassVar[frozenset[str]] = JobParameters.free_to_change

    depth: Literal["tables", "headers", "pixels"] = Field(
        "pixels", description="How closely to look: at the tables alone, at the headers of all images, or at every pixel of them."
    )
    particle_diameter: PositiveFloat | None = Field(
        None, description="Diameter (Å) of the particle; with it, hand of the defocus and sign of the contrast are measured."
    )
    ref: Path | None = Field(None, description="Reference; with it, whether particles show it or its mirror image is measured.")
    model: str | None = Field(
        None,
        description="Atomic model, a file or builtin:NAME; with it, the hand of the reference (or of a map from the particles' poses) is "
        "measured.",
    )
    sym: str = Field("C1", description="Point group of the particle: Cn, Dn, T, O or I, axes as in RELION.")
    max_particles: PositiveInt = Field(100, description="How many particles are asked, spread over all tilt series.")
    sigma_offset: PositiveFloat = Field(5.0, description="How far positions may be off (Å, one standard deviation).")
    j: PositiveInt | None = Field(None, description="Threads; without it, all cores.")

    @model_validator(mode="after")
    def _measures_something_of_known_size(self) -> Check:
        if self.particle_diameter is None and (self.ref is not None or self.model is not None):
            raise ValueError("--ref and --model need the --particle-diameter (Å), too")
        if self.particle_diameter is not None and self.depth == "tables":
            raise ValueError("--particle-diameter asks the images, --depth tables does not look at them: leave out one of the two")
        return self
