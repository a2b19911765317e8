"""How a verb is told which two half-maps to work on."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, PositiveFloat, model_validator

from tomobayes.jobs.parameters.base import JobParameters

__all__ = ["HalfMapParameters"]


class HalfMapParameters(JobParameters):
    """Two unfiltered half-maps, where the particle is, and how their average is sharpened."""

    i: Path | None = Field(None, description="Folder of a job that wrote half-maps, or its first half-map.")
    half1: Path | None = Field(None, description="Unfiltered first half-map, in place of the one found with --i.")
    half2: Path | None = Field(None, description="Unfiltered second half-map.")
    mask: Path | None = Field(None, description="Soft solvent mask, 0 to 1; without it all of the box is compared.")
    angpix: PositiveFloat | None = Field(None, description="Voxel size (Å), in place of the one in the headers.")
    mtf: Path | None = Field(None, description="STAR file with the detector's modulation transfer function, to divide by.")
    mtf_angpix: PositiveFloat | None = Field(None, description="Pixel size (Å) of the detector for --mtf; without it, the maps' own.")
    adhoc_bfac: float | None = Field(
        None, description="B factor (Å²) to sharpen with, negative as a rule; without it, fitted to the Guinier plot."
    )

    @model_validator(mode="after")
    def _names_two_halves(self) -> HalfMapParameters:
        if self.i is None and (self.half1 is None or self.half2 is None):
            raise ValueError("give a job's folder with --i, or two half-maps with --half1 and --half2")
        if self.mtf_angpix is not None and self.mtf is None:
            raise ValueError("--mtf-angpix says something about --mtf: give both or neither")
        return self
