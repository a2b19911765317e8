"""How a verb is told what to make of the tilt images."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from tomobayes.jobs.parameters.dataset import DatasetParameters

__all__ = ["ImageParameters"]


class ImageParameters(DatasetParameters):
    """An experiment, and how boxes are cut from its images (or read where they were cut before)."""

    box: PositiveInt | None = Field(None, multiple_of=2, description="Edge of the box in binned pixels.")
    bin: PositiveFloat | None = Field(None, description="Binning relative to the tilt series (the coarsest of them); 1 without it.")
    extract_box: PositiveInt | None = Field(
        None,
        multiple_of=2,
        description="Edge, in binned pixels, of the larger box in which the CTF is applied; without it, from the defocus.",
    )
    max_dose: PositiveFloat | None = Field(None, description="Leave out images taken after more than this dose (e/Å²).")
    min_frames: PositiveInt = Field(1, description="Leave out particles seen in fewer images.")
    images: Literal["series", "stacks", "subtomograms"] | None = Field(
        None, description="Where images come from; without it, stored ones where the particles name them, else the tilt series."
    )

    @model_validator(mode="after")
    def _boxes_nest(self) -> ImageParameters:
        if self.bin is not None and self.bin < 1:
            raise ValueError(f"--bin must be at least 1, not {self.bin:g}")
        if self.box is not None and self.extract_box is not None and self.extract_box < self.box:
            raise ValueError(f"--extract-box must be at least --box ({self.box}), not {self.extract_box}")
        return self
