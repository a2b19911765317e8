"""Parameters of ``extract``."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from tomobayes.jobs.parameters.base import JobParameters
from tomobayes.jobs.parameters.dataset import DatasetParameters

__all__ = ["Extract"]


class Extract(DatasetParameters, JobParameters):
    """Images of every particle as files for RELION: pseudo-subtomograms or 2D stacks."""

    verb: ClassVar[str] = "extract"
    folder: ClassVar[str] = "Extract"

    box: PositiveInt = Field(multiple_of=2, description="Edge, in binned pixels, of the box in which the CTF is applied.")
    crop: PositiveInt | None = Field(
        None, multiple_of=2, description="Edge of the boxes that are written, in binned pixels; without it, --box."
    )
    bin: PositiveFloat = Field(1.0, ge=1, description="Binning relative to the tilt series.")
    stack2d: bool = Field(False, description="Write 2D stacks instead of pseudo-subtomograms.")
    max_dose: PositiveFloat | None = Field(None, description="Leave out images taken after more than this dose (e/Å²).")
    min_frames: PositiveInt = Field(1, description="Leave out particles seen in fewer images.")
    float16: bool = Field(False, description="Write half-precision files (MRC mode 12).")
    apply_orientations: bool = Field(False, description="Turn every box into the particle's own frame; its angles become zero.")
    j: PositiveInt | None = Field(None, description="Threads; without it, all cores.")

    @model_validator(mode="after")
    def _boxes_nest(self) -> Extract:
        if self.crop is not None and self.crop > self.box:
            raise ValueError(f"--crop must be at most --box ({self.box}), not {self.crop}")
        return self
