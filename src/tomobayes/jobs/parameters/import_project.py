"""Parameters of ``import``."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from cyclopts import Group, Parameter
from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from tomobayes.jobs.parameters.base import JobParameters
from tomobayes.jobs.parameters.dataset import DatasetParameters

__all__ = ["ImportProject"]

_Files = Parameter(group=Group("Files of several programs", sort_key=1), consume_multiple=True, show_default=False)
_Unsaid = Group("What files do not say", sort_key=2)
_Known = Parameter(group=_Unsaid)
_Order = Parameter(group=_Unsaid, consume_multiple=True, show_default=False)
_Picks = Parameter(group=Group("Particles", sort_key=3))


ONLY_MIXED = ("alignment_angpix", "dose_per_tilt", "order", "tilt_axis", "hand", "kv", "cs", "q0")
"""What the files of a whole project say themselves."""

ONLY_PICKS = ("coordinates_centre", "euler")
"""What tables of other programs' particles leave open."""


class ImportProject(DatasetParameters, JobParameters):
    """A project of RELION, Warp or M (--i), or files of several programs put together, as native RELION-5 files."""

    verb: ClassVar[str] = "import"
    folder: ClassVar[str] = "Import"

    mdoc: Annotated[tuple[str, ...], _Files] = Field(
        (), description="mdoc files of SerialEM or Tomo5, or tilt_series/*.star of RELION's import: files, folders or quoted patterns."
    )
    alignment: Annotated[tuple[str, ...], _Files] = Field(
        (),
        description="Alignments: .aln of AreTomo, .xf of IMOD with its .tlt beside it, or folders that hold them (etomo's, _Imod).",
    )
    ctf: Annotated[tuple[str, ...], _Files] = Field(
        (), description="Defoci: text of CTFFIND 4 or 5 (also AreTomo's), .star of gctf, .defocus of ctfplotter, _ctf.tlt of emClarity."
    )
    tilt_images: Annotated[tuple[str, ...], _Files] = Field(
        (), description="Tilt images, unaligned: one stack per tilt series, or one file per view with the name of its frames."
    )
    particles: Annotated[tuple[str, ...], _Files] = Field(
        (),
        description="Particles: tables of Dynamo or STOPGAP, STAR, text with x y z and perhaps three angles; in series of --i or --t, too.",
    )
    angpix: Annotated[PositiveFloat | None, _Known] = Field(None, description="Pixel size (Å) of the tilt images.")
    alignment_angpix: Annotated[PositiveFloat | None, _Known] = Field(
        None, description="Pixel size (Å) of the images that were aligned, if they were binned."
    )
    dose_per_tilt: Annotated[PositiveFloat | None, _Known] = Field(
        None, description="Dose (e/Å²) of every view, in place of what the mdoc says."
    )
    order: Annotated[tuple[str, ...], _Order] = Field(
        (),
        description="Order in which views were taken: 'section' (that of the stack), or files with their stage angles as they were taken.",
    )
    tilt_axis: Annotated[float | None, _Known] = Field(None, description="Tilt axis (°, counter-clockwise from y), if you know better.")
    hand: Annotated[int | None, _Known] = Field(None, description="Hand of the defocus, -1 or 1; -1 is assumed, as on most microscopes.")
    tomogram_size: Annotated[tuple[PositiveInt, PositiveInt, PositiveInt] | None, _Known] = Field(
        None, description="x y z of the tomograms, in pixels of the tilt images."
    )
    image_size: Annotated[tuple[PositiveInt, PositiveInt] | None, _Known] = Field(None, description="Width and height of the tilt images.")
    kv: Annotated[PositiveFloat | None, _Known] = Field(None, description="Voltage (kV).")
    cs: Annotated[float | None, _Known] = Field(None, ge=0, description="Spherical aberration (mm).")
    q0: Annotated[float | None, _Known] = Field(None, ge=0, le=1, description="Amplitude contrast.")
    coordinates_angpix: Annotated[PositiveFloat | None, _Picks] = Field(
        None, description="Voxel size (Å) of the tomograms that the particles' coordinates are in."
    )
    coordinates_centre: Annotated[Literal["corner", "corner-1", "middle"] | None, _Picks] = Field(
        None, description="What coordinates count from: the first voxel as 0 or as 1, or the middle of the tomogram."
    )
    euler: Annotated[Literal["relion", "dynamo", "stopgap"] | None, _Picks] = Field(
        None, description="Angles of a text table: rot tilt psi; tdrot tilt narot; phi psi the."
    )

    @property
    def is_mixed(self) -> bool:
        """Whether tilt series are put together from files of several programs."""
        return bool(self.mdoc or self.alignment or self.ctf or self.tilt_images)

    @model_validator(mode="after")
    def _names_an_experiment(self) -> ImportProject:
        if self.hand not in (None, -1, 1):
            raise ValueError(f"--hand must be 1 or -1, not {self.hand}")
        if self.is_mixed and (self.i or self.p or self.t):
            raise ValueError(
                "give either a project (--i, --p, --t) or files of several programs (--mdoc, --alignment, --ctf, --tilt-images)"
            )
        if self.is_mixed and self.mot:
            raise ValueError("--mot belongs to a project; files of several programs bring their own local alignment")
        if said := self._given(ONLY_MIXED) if not self.is_mixed else "":
            raise ValueError(f"{said}: only where files of several programs are put together; a project says it itself")
        if said := self._given(ONLY_PICKS) if not self.particles else "":
            raise ValueError(f"{said}: only with --particles of other programs; without them, leave it out")
        if not self.is_mixed and self.i is None and (self.t is None or not (self.p or self.particles)):
            raise ValueError("give a project with --i, or files of several programs with --mdoc, --alignment, --ctf and --tilt-images")
        return self

    def _given(self, names: tuple[str, ...]) -> str:
        """Which of some options were given, as they are typed."""
        return ", ".join(f"--{name.replace('_', '-')}" for name in names if getattr(self, name) not in (None, ()))
