"""Parameters of ``postprocess``."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat

from tomobayes.jobs.parameters.half_maps import HalfMapParameters

__all__ = ["Postprocess"]


class Postprocess(HalfMapParameters):
    """The resolution of two half-maps, and a sharpened map."""

    verb: ClassVar[str] = "postprocess"
    folder: ClassVar[str] = "PostProcess"

    sym: str = Field("C1", description="Point group of the map; it widens the error bars of the FSC.")
    autob_lowres: PositiveFloat = Field(10.0, description="Coarsest resolution (Å) in the fit of the B factor.")
    autob_highres: NonNegativeFloat = Field(0.0, description="Finest resolution (Å) in that fit; 0: Nyquist.")
    skip_fsc_weighting: bool = Field(False, description="Do not weight shells by what their FSC says they are worth.")
    low_pass: float = Field(0.0, description="Last low-pass filter (Å); 0: none, negative: at the resolution found.")
    randomize_at_fsc: float = Field(
        0.8, gt=0, lt=1, description="Randomise phases from the shell on where the unmasked FSC falls below this."
    )
    random_seed: NonNegativeInt = Field(0, description="Seed of the random phases.")
