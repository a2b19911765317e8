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
        "n_series", "n_particles", "min_distance", "image_size_px", "thickness", "thickness_spread", "ice_tilt", "luminance",
        "tilt_min", "tilt_max", "tilt_step", "scheme", "dose",
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
    motion_kernel: Literal["square-exponential", "exponential"] = Field(
        "square-exponential", description="How the movements of two particles at distance r correlate: exp(-r²/2c²) or exp(-r/c)."
    )
    motion_correlation: PositiveFloat = Field(500.0, description="Correlation length c (Å) of the movements.")
    deformation: Literal["affine", "spline", "fourier"] | None = Field(
        None, description="Deform the images, without a word of it in the written project."
    )
    deformation_rms: PositiveFloat = Field(5.0, description="Displacement (Å rms) by the deformation.")
    deformation_grid: tuple[PositiveInt, PositiveInt] = Field((3, 3), description="Nodes of a spline or waves of a Fourier deformation.")
    deformation_per_tilt: bool = Field(False, description="Deform every tilt image in its own way, not all of a series alike.")
    trefoil: NonNegativeFloat = Field(0.0, description="Unwritten trefoil (degrees of phase at Nyquist).")
    coma: NonNegativeFloat = Field(0.0, description="Unwritten axial coma (degrees of phase at Nyquist).")
    tetrafoil: NonNegativeFloat = Field(0.0, description="Unwritten tetrafoil (degrees of phase at Nyquist).")
    aniso_magnification: NonNegativeFloat = Field(
        0.0, lt=50, description="Unwritten anisotropic magnification (percent between its largest and its least)."
    )
    shift_error: NonNegativeFloat = Field(0.0, description="Error (Å, per axis) of the written image shifts.")
    tilt_error: NonNegativeFloat = Field(0.0, description="Error (degrees) of the written tilt angles.")
    defocus_error: NonNegativeFloat = Field(0.0, description="Error (Å) of the written defoci.")
    astigmatism_error: NonNegativeFloat = Field(0.0, description="Error (Å, per component) of the written astigmatism, U - V and angle.")
    scale_error: NonNegativeFloat = Field(0.0, description="Error (of the logarithm) of the written scale of every image.")
    no_scale: bool = Field(False, description="Write a scale of 1 for all images.")
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
    thickness_spread: NonNegativeFloat = Field(0.0, description="Scatter (Å) of what the ice of a series counts for in its images' scale.")
    ice_tilt: NonNegativeFloat = Field(0.0, description="Scatter (degrees) of the ice of a series about the tilt axis.")
    luminance: PositiveFloat | None = Field(
        None, description="Scale of images that no ice dims; without it, that which leaves untilted images a scale of 1."
    )
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
        self._refuse_idle()
        if self.hand not in (-1, 1):
            raise ValueError(f"--hand must be 1 or -1, not {self.hand}")
        if self.tilt_max - self.tilt_min < self.tilt_step:
            raise ValueError("--tilt-max must be at least one --tilt-step above --tilt-min")
        if self.defocus_max < self.defocus_min:
            raise ValueError("--defocus-max must not be less than --defocus-min")
        return self

    def _refuse_idle(self) -> None:
        """Refuse options that change nothing because what they describe was not asked for."""
        needed = {
            "deformation": ("deformation_rms", "deformation_grid", "deformation_per_tilt"),
            "motion": ("motion_kernel", "motion_correlation"),
        }
        for asked, details in needed.items():
            idle = [self.option(name) for name in details if getattr(self, name) != type(self).model_fields[name].default]
            if idle and not getattr(self, asked):
                raise ValueError(f"{', '.join(idle)} would change nothing: ask for {self.option(asked)} too, or leave it out")
        if self.deformation == "affine" and self.deformation_grid != type(self).model_fields["deformation_grid"].default:
            raise ValueError("an affine deformation has no grid: leave out --deformation-grid")
        if self.no_scale and self.scale_error:
            raise ValueError("--no-scale leaves no scale that could have a --scale-error: leave out one or the other")
