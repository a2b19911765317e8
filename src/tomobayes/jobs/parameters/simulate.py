"""Parameters of ``simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from cyclopts import Parameter
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from tomobayes.jobs.parameters.base import JobParameters

__all__ = ["Simulate"]

_Several = Parameter(consume_multiple=True)


class Simulate(JobParameters):
    """Tilt series with known truth, to plan experiments and to test methods."""

    verb: ClassVar[str] = "simulate"
    folder: ClassVar[str] = "External"
    session: ClassVar[tuple[str, ...]] = (
        "n_series", "n_particles", "min_distance", "image_size_px", "thickness", "tilt_min", "tilt_max", "tilt_step", "scheme", "dose",
        "hand", "tilt_axis", "defocus_min", "defocus_max", "astigmatism", "phase_shift", "kv", "cs", "q0",
    )  # fmt: skip
    """Options that an experiment given with --i answers instead."""

    model: Annotated[tuple[str, ...], _Several] = Field(
        ("builtin:ribosome",),
        min_length=1,
        description="Atomic models (mmCIF, PDB), maps (.mrc) or builtin:ribosome, builtin:apoferritin; one per class.",
    )
    populations: Annotated[tuple[PositiveFloat, ...], _Several] = Field((), description="Relative sizes of the classes; equal without it.")
    i: Path | None = Field(
        None, description="Experiment (optimisation set or job's folder) whose geometry, poses, dose and defoci to take."
    )
    angpix: PositiveFloat | None = Field(
        None, description="Pixel size (Å) of the images; without it 4, or that of the experiment given with --i."
    )
    box: PositiveInt | None = Field(None, description="Edge of the true maps in pixels; without it, as small as the models allow.")
    snr: PositiveFloat = Field(
        0.05, description="Variance of the signal inside the particle over that of the noise, in an untilted, undosed image."
    )
    noise: str = Field(
        "solvent", description="Shape of the noise: solvent, white, or a text file with frequency (1/Å) and relative amplitude per line."
    )
    motion: NonNegativeFloat = Field(
        0.0, description="Movement (Å, per axis) of every particle from one exposure to the next, smooth in space."
    )
    shift_error: NonNegativeFloat = Field(0.0, description="Error (Å, per axis) of the written image shifts.")
    tilt_error: NonNegativeFloat = Field(0.0, description="Error (degrees) of the written tilt angles.")
    defocus_error: NonNegativeFloat = Field(0.0, description="Error (Å) of the written defoci.")
    pose_error: NonNegativeFloat = Field(0.0, description="Error (degrees, per axis) of the written orientations.")
    position_error: NonNegativeFloat = Field(0.0, description="Error (Å, per axis) of the written positions.")
    no_angles: bool = Field(False, description="Write positions only, as a picker does.")
    data_type: Literal["int8", "int16", "float32"] = Field("int8", description="Number format of the images.")
    seed: NonNegativeInt = Field(1, description="Seed of everything random.")
    n_series: PositiveInt = Field(2, description="Number of tilt series.")
    n_particles: PositiveInt = Field(64, description="Number of particles in each.")
    min_distance: PositiveFloat | None = Field(None, description="Least distance (Å) between particles; without it, their diameter.")
    image_size_px: tuple[PositiveInt, PositiveInt] = Field((512, 512), description="Width and height of the images.")
    thickness: PositiveFloat = Field(800.0, description="Thickness (Å) of the ice.")
    tilt_min: float = Field(-60.0, ge=-90, le=90, description="Lowest tilt (degrees).")
    tilt_max: float = Field(60.0, ge=-90, le=90, description="Highest tilt (degrees).")
    tilt_step: PositiveFloat = Field(3.0, description="Step between tilts (degrees).")
    scheme: Literal["dose-symmetric", "continuous", "bidirectional"] = Field(
        "dose-symmetric", description="Order in which the tilts are taken."
    )
    dose: NonNegativeFloat = Field(3.0, description="Dose of each image (e/Å²).")
    hand: int = Field(-1, description="Sign of the change of defocus with height (rlnTomoHand).")
    tilt_axis: float = Field(85.0, description="Direction of the tilt axis in the images (degrees).")
    defocus_min: PositiveFloat = Field(25000.0, description="Least underfocus (Å) of a series.")
    defocus_max: PositiveFloat = Field(40000.0, description="Largest underfocus (Å) of a series.")
    astigmatism: NonNegativeFloat = Field(200.0, description="Difference (Å) between largest and least defocus of an image.")
    phase_shift: float = Field(0.0, description="Phase plate (degrees).")
    kv: PositiveFloat = Field(300.0, description="Voltage (kV).")
    cs: NonNegativeFloat = Field(2.7, description="Spherical aberration (mm).")
    q0: float = Field(0.07, ge=0, le=1, description="Amplitude contrast.")

    @model_validator(mode="after")
    def _hangs_together(self) -> Simulate:
        if self.populations and len(self.populations) != len(self.model):
            raise ValueError(f"--populations needs one number per class: {len(self.model)}, not {len(self.populations)}")
        given = [self.option(name) for name in self.session if name in self.model_fields_set]
        if self.i is not None and given:
            raise ValueError(f"with --i the experiment says what {', '.join(given)} would: leave out one or the other")
        if self.hand not in (-1, 1):
            raise ValueError(f"--hand must be 1 or -1, not {self.hand}")
        if self.tilt_max - self.tilt_min < self.tilt_step:
            raise ValueError("--tilt-max must be at least one --tilt-step above --tilt-min")
        if self.defocus_max < self.defocus_min:
            raise ValueError("--defocus-max must not be less than --defocus-min")
        return self
