"""Parameters of ``cycle``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from cyclopts import Parameter
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from tomobayes.jobs.parameters.base import JobParameters
from tomobayes.jobs.parameters.images import ImageParameters

__all__ = ["Cycle", "Step"]

Step = Literal["refine", "refine-ctf", "align"]


class Cycle(ImageParameters, JobParameters):
    """Poses, optics and geometry in turn, until the halves agree no better."""

    verb: ClassVar[str] = "cycle"
    folder: ClassVar[str] = "Cycle"

    particle_diameter: PositiveFloat = Field(description="Diameter (Å) of the particle.")
    mask: Path | None = Field(None, description="Soft solvent mask, 0 to 1; without it, a sphere of the particle's diameter.")
    sym: str = Field("C1", description="Point group: Cn, Dn, T, O or I, axes as in RELION.")
    steps: Annotated[tuple[Step, ...], Parameter(consume_multiple=True)] = Field(
        ("refine", "refine-ctf", "align"), min_length=1, description="What a round is made of, in this order."
    )
    rounds: PositiveInt = Field(5, description="Stop after this many rounds, whether the map still improves or not.")
    sigma_ang: PositiveFloat = Field(3.0, description="Width (degrees) of the prior around the poses of the last round in refine.")
    offset_range: PositiveFloat = Field(8.0, description="Largest shift (Å) from the positions of the last round that refine tries.")
    no_motion: bool = Field(False, description="Do not let align look for particles that move during the tilt series.")
    random_seed: NonNegativeInt = Field(0, description="Seed of the half-sets where there are none.")
    j: PositiveInt | None = Field(None, description="Threads; without it, all cores.")

    @model_validator(mode="after")
    def _works_on_tilt_images(self) -> Cycle:
        if self.images in ("stacks", "subtomograms"):
            raise ValueError("optics and geometry are learned from tilt images: --images can only be series")
        return self
