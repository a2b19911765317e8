"""One tilt series out of what several programs and the user know of it.

What is left out, what was assumed and where each quantity came from is told in `Understood`. What nobody knows is a problem that names the
option to give.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.alignment import geometry_of
from tomobayes.formats.composed_sizes import Sizes, sizes_of
from tomobayes.formats.composed_views import ComposedViews, compose_views
from tomobayes.formats.mrc_images import MrcImages
from tomobayes.formats.sources import Given, Sources
from tomobayes.formats.star_values import format_float
from tomobayes.model import Optics, Problem, TiltSeries

__all__ = ["Composed", "Understood", "compose_series"]

USUAL_HAND = -1.0
FAR_AXIS_DEGREES = 5.0
MISSING = {
    "aligned": ("has no alignment", "give one with --alignment (a folder of etomo, an .xf file, an .aln file)"),
    "defocused": ("has no defoci", "give them with --ctf (text of CTFFIND, a .star of gctf, a .defocus file)"),
}


@dataclass(frozen=True)
class Understood:
    """What was understood of one tilt series, for people.

    Parameters
    ----------
    axes : tilt axis of the mdoc, the alignment and the user, None where it is not given
    pixel_from : where the pixel size comes from
    sentences : what was assumed, is left out or does not fit, to be read after the name
    """

    name: str
    n_taken: int
    n_used: int
    left_out: tuple[str, ...]
    order_from: str
    dose_from: str
    axes: tuple[float | None, float | None, float | None]
    pixel_size_angstrom: float
    pixel_from: str
    hand: float
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Composed:
    """A tilt series with its optics; ``aligned_rows`` are its views' places in the alignment, ``aligned_scale`` its pixels in ours."""

    series: TiltSeries
    optics: Optics
    understood: Understood
    aligned_rows: tuple[int, ...]
    aligned_scale: float


def compose_series(sources: Sources, given: Given, problems: list[Problem]) -> Composed | None:
    """Put one tilt series together; None where there are problems, which are added."""
    n_before = len(problems)
    for part, (what, remedy) in MISSING.items():
        if getattr(sources, part) is None:
            problems.append(Problem(None, f"tilt series {sources.name}", what, remedy=remedy))
    if sources.aligned is None or sources.defocused is None:
        return None
    sizes = sizes_of(sources, given, problems)
    optics = _optics(sources, given, problems)
    axes = _axes(sources, given, problems)
    views = compose_views(sources, given, problems)
    if views is None or sizes is None or optics is None or len(problems) > n_before:
        return None
    understood = Understood(
        name=sources.name,
        n_taken=views.n_taken,
        n_used=len(views.views),
        left_out=views.left_out,
        order_from=views.order_from,
        dose_from=views.dose_from,
        axes=axes,
        pixel_size_angstrom=sizes.pixel,
        pixel_from=sizes.pixel_from,
        hand=USUAL_HAND if given.hand is None else given.hand,
        sentences=(*_axis_sentences(axes), *sources.aligned.left_out, *views.doubts, *sizes.sentences),
    )
    return Composed(
        series=_series(sources, views, sizes, understood, optics.name),
        optics=optics,
        understood=understood,
        aligned_rows=tuple(view.aligned_row for view in views.views),
        aligned_scale=sizes.aligned / sizes.pixel,
    )


def _optics(sources: Sources, given: Given, problems: list[Problem]) -> Optics | None:
    ctf, mdoc = sources.defocused, sources.acquired
    told = {
        "--kv": (given.voltage_kv, mdoc.voltage_kv if mdoc is not None else None, ctf.voltage_kv if ctf is not None else None),
        "--cs": (given.spherical_aberration_mm, ctf.spherical_aberration_mm if ctf is not None else None),
        "--q0": (given.amplitude_contrast, ctf.amplitude_contrast if ctf is not None else None),
    }
    values = [next((value for value in candidates if value is not None), None) for candidates in told.values()]
    missing = [option for option, value in zip(told, values, strict=True) if value is None]
    if missing:
        what = f"its optics are not known: no file tells {' and '.join(missing)}"
        problems.append(Problem(None, f"tilt series {sources.name}", what, remedy=f"give {' and '.join(missing)}"))
    voltage, aberration, contrast = values
    if voltage is None or aberration is None or contrast is None:
        return None
    return Optics(f"{voltage:g}kV_{aberration:g}mm_{contrast:g}", voltage, aberration, contrast)


def _axes(sources: Sources, given: Given, problems: list[Problem]) -> tuple[float | None, float | None, float | None]:
    """Axis of the mdoc, the alignment and the user. The user's word counts: an alignment about another axis is refused."""
    assert sources.aligned is not None
    mdoc, aligned, user = (sources.acquired.axis_degrees if sources.acquired else None), sources.aligned.axis_degrees, given.axis_degrees
    if user is not None and abs(_turn(aligned - user)) > FAR_AXIS_DEGREES:
        what = f"is aligned about a tilt axis of {aligned:.1f}°, not {user:g}° as --tilt-axis says"
        why = "a wrong axis, or one turned by 180°, mirrors the tomogram"
        problems.append(Problem(sources.aligned.file, "", what, why, "align it about the right axis, or leave --tilt-axis out"))
    return mdoc, aligned, user


def _axis_sentences(axes: Sequence[float | None]) -> list[str]:
    mdoc, aligned, user = axes
    if mdoc is None or aligned is None or user is not None:
        return []
    turn = _turn(aligned - mdoc)
    if abs(abs(turn) - 180) < FAR_AXIS_DEGREES:
        return [f"the tilt axis of the mdoc ({mdoc:.1f}°) and of the alignment ({aligned:.1f}°) point opposite ways: check the hand"]
    if abs(turn) > FAR_AXIS_DEGREES:
        return [f"the tilt axis is {mdoc:.1f}° by the mdoc, but {aligned:.1f}° by the alignment, which counts"]
    return []


def _turn(degrees: float) -> float:
    """Between -180 and 180."""
    return (degrees + 180) % 360 - 180


def _series(sources: Sources, composed: ComposedViews, sizes: Sizes, understood: Understood, optics_name: str) -> TiltSeries:
    views = composed.views
    geometry = geometry_of([view.aligned for view in views], sizes.pixel, sizes.aligned, sizes.image, sizes.tomogram)
    u, v, astigmatism, phase = (
        np.array([getattr(view.defocused, name) for view in views])
        for name in ("defocus_u_angstrom", "defocus_v_angstrom", "astigmatism_degrees", "phase_shift_degrees")
    )
    images = None
    if sources.images is not None:
        slices = [sources.images.slices[view.image] for view in views if view.image is not None]
        images = MrcImages(slices, sources.images.headers, sizes.pixel)
    return TiltSeries(
        name=sources.name,
        pixel_size_angstrom=sizes.pixel,
        hand=understood.hand,
        tomogram_size=sizes.tomogram,
        image_size=sizes.image,
        rotation=geometry.rotation,
        shift_angstrom=geometry.shift_angstrom,
        dose=np.array([view.dose for view in views]),
        defocus_u_angstrom=u,
        defocus_v_angstrom=v,
        astigmatism_radians=np.radians(astigmatism),
        phase_shift_radians=np.radians(phase),
        scale=np.ones(len(views)),
        b_factor=np.zeros(len(views)),
        optics_name=optics_name,
        deformation=geometry.deformation,
        images=images,
        columns=_columns(composed, understood),
    )


def _columns(composed: ComposedViews, understood: Understood) -> dict[str, NDArray[np.str_]]:
    """What RELION has of every view besides: frames, stage angle, nominal axis, resolution of the CTF fit."""
    views = composed.views
    nominal = next((axis for axis in (understood.axes[2], understood.axes[0]) if axis is not None), None)
    texts: dict[str, list[str]] = {}
    if all(view.file for view in views):
        texts["rlnMicrographMovieName"] = [view.file for view in views]
    if all(view.key.stage_degrees is not None for view in views):
        texts["rlnTomoNominalStageTiltAngle"] = [format_float(view.key.stage_degrees or 0.0) for view in views]
    if nominal is not None:
        texts["rlnTomoNominalTiltAxisAngle"] = [format_float(nominal)] * len(views)
    if all(view.defocused.resolution_angstrom for view in views):
        texts["rlnCtfMaxResolution"] = [format_float(view.defocused.resolution_angstrom or 0.0) for view in views]
    return {label: np.array(cells, dtype=np.str_) for label, cells in texts.items()}
