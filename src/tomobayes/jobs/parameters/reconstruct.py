"""Parameters of ``reconstruct``."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, NonNegativeInt, PositiveFloat

from tomobayes.jobs.parameters.compute import ComputeParameters
from tomobayes.jobs.parameters.images import ImageParameters

__all__ = ["Reconstruct"]


class Reconstruct(ImageParameters, ComputeParameters):
    """Half-maps from the poses that the particles have."""

    verb: ClassVar[str] = "reconstruct"
    folder: ClassVar[str] = "Reconstruct"

    sym: str = Field("C1", description="Point group: Cn, Dn, T, O or I, axes as in RELION.")
    particle_diameter: PositiveFloat | None = Field(
        None,
        description="Diameter (Å) of the particle: the FSC is taken in that sphere, and the merged map expected there.",
    )
    random_seed: NonNegativeInt = Field(0, description="Seed of the half-sets where there are none.")
