"""Parameters of ``postprocess``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, model_validator

from tomobayes.jobs.parameters.base import JobParameters

__all__ = ["Postprocess"]


class Postprocess(JobParameters):
    """The resolution of two half-maps, and a sharpened map."""

    verb: ClassVar[str] = "postprocess"
    folder: ClassVar[str] = "PostProcess"

    i: Path | None = Field(None, description="Folder of a job that wrote half-maps, or its first half-map.")
    half1: Path | None = Field(None, description="Unfiltered first half-map, in place of the one found with --i.")
    half2: Path | None = Field(None, description="Unfiltered second half-map.")
    mask: Path | None = Field(None, description="Soft solvent mask, 0 to 1; without it the FSC is that of the whole box.")
    angpix: PositiveFloat | None = Field(None, description="Voxel size (Å), in place of the one in the headers.")
    sym: str = Field("C1", description="Point group of the map; it widens the error bars of the FSC.")
    mtf: Path | None = Field(None, description="STAR file with the detector's modulation transfer function, to divide by.")
    mtf_angpix: PositiveFloat | None = Field(None, description="Pixel size (Å) of the detector for --mtf; without it, the maps' own.")
    adhoc_bfac: float | None = Field(
        None, description="B factor (Å²) to sharpen with, negative as a rule; without it, fitted to the Guinier plot."
    )
    autob_lowres: PositiveFloat = Field(10.0, description="Coarsest resolution (Å) in that fit.")
    autob_highres: NonNegativeFloat = Field(0.0, description="Finest resolution (Å) in that fit; 0: Nyquist.")
    skip_fsc_weighting: bool = Field(False, description="Do not weight shells by what their FSC says they are worth.")
    low_pass: float = Field(0.0, description="Last low-pass filter (Å); 0: none, negative: at the resolution found.")
    randomize_at_fsc: float = Field(
        0.8, gt=0, lt=1, description="Randomise phases from the shell on where the unmasked FSC falls below this."
    )
    random_seed: NonNegativeInt = Field(0, description="Seed of the random phases.")

    @model_validator(mode="after")
    def _names_two_halves(self) -> Postprocess:
        if self.i is None and (self.half1 is None or self.half2 is None):
            raise ValueError("give a job's folder with --i, or two half-maps with --half1 and --half2")
        if self.mtf_angpix is not None and self.mtf is None:
            raise ValueError("--mtf-angpix says something about --mtf: give both or neither")
        return self
