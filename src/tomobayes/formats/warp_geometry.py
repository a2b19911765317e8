"""A tilt series of Warp's as one of ours: what of its grids a tilt series can hold, and in which of its fields."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.cells import text_of
from tomobayes.formats.paths import name_from
from tomobayes.formats.warp_frame import WarpFrame
from tomobayes.formats.warp_grids import node_slopes
from tomobayes.formats.warp_positions import MICROMETRE, movement_nodes, stage_corrections, tilt_rotations
from tomobayes.formats.warp_tilt_series import WarpTiltSeries
from tomobayes.model import Deformation, Optics, TiltSeries

__all__ = [
    "DOSE_B_FACTOR",
    "IMAGE_SIZE_LABELS",
    "ORIGIN_LABEL",
    "as_optics",
    "as_tilt_series",
    "at_centre",
    "defocus_ellipse",
    "hermite_coefficients",
    "principal_defoci",
]

Float = NDArray[np.float64]
ORIGIN_LABEL = "wrpTiltSeriesFile"
"""Column of tomograms.star with the file that a tilt series was read from, so that it can be written into that file again."""
IMAGE_SIZE_LABELS = ("wrpImageSizeX", "wrpImageSizeY")
"""Columns with the size of the images, which tell what a deformation means where the images themselves are not at hand."""
DOSE_B_FACTOR = 3.0
"""Å² per e/Å²: the least decay that M lets a tilt have whose weights were estimated."""


def as_optics(series: WarpTiltSeries, name: str) -> Optics:
    """The optics of a tilt series.

    Warp takes the CTF at the frequency k of an image, here it is taken at M·k: defocus and spherical aberration are changed so that
    both are the same function of the image, up to the anisotropy of M in the fourth order. Warp multiplies images by the phase of the
    odd aberrations, here that of the signal is kept: the coefficients change sign.
    """
    area = _area(series)
    even, odd = _coefficients(series, "ZernikeCoeffsEven"), _coefficients(series, "ZernikeCoeffsOdd")
    return Optics(
        name=name,
        voltage_kv=_parameter(series, "Voltage", 300.0),
        spherical_aberration_mm=_parameter(series, "Cs", 2.7) / area**2,
        amplitude_contrast=_parameter(series, "Amplitude", 0.07),
        even_zernike=(0.0, *even) if any(even) else (),
        odd_zernike=tuple(0.0 - one for one in odd) if any(odd) else (),
        magnification=series.magnification,
    )


def as_tilt_series(series: WarpTiltSeries, frame: WarpFrame, optics_name: str) -> TiltSeries:
    """The tilts that are used, with the stage angle grids in their rotations and the movement grids in shifts or deformation.

    Parameters
    ----------
    series : as Warp has it
    frame : its sizes
    optics_name : name of its optics group
    """
    used, pixel = series.is_used, frame.pixel_size_angstrom
    size = tuple(max(round(edge / pixel), 1) for edge in frame.volume_angstrom)
    rotation = (stage_corrections(series, np.array([0.5, 0.5])) @ tilt_rotations(series))[used]
    defocus_u, defocus_v, angle = principal_defoci(series)
    scale, b_factor, per_dose = _weights(series)
    return TiltSeries(
        name=series.name,
        pixel_size_angstrom=pixel,
        hand=-1.0 if series.is_inverted else 1.0,
        tomogram_size=(size[0], size[1], size[2]),
        image_size=frame.image_size,
        rotation=rotation,
        shift_angstrom=_shift(series, frame)[used] - _half_pixel(rotation, size, pixel),
        dose=series.dose[used],
        defocus_u_angstrom=defocus_u[used],
        defocus_v_angstrom=defocus_v[used],
        astigmatism_radians=angle[used],
        phase_shift_radians=math.pi * at_centre(series, "GridCTFPhase")[used],
        scale=scale[used],
        b_factor=b_factor[used],
        optics_name=optics_name,
        b_factor_per_dose=per_dose,
        defocus_slope=1 / _area(series),
        deformation=_deformation(series, frame),
        images=frame.images,
        columns=_columns(series),
        globals_=_origin(frame),
    )


def principal_defoci(series: WarpTiltSeries) -> tuple[Float, Float, Float]:
    """Å along and across, and radians, (F,) each, at the volume's centre: D of Warp's CTF at k as M⁻ᵀ·D·M⁻¹ for one at M·k."""
    mean, delta = MICROMETRE * at_centre(series, "GridCTF"), MICROMETRE * at_centre(series, "GridCTFDefocusDelta")
    angle = np.radians(at_centre(series, "GridCTFDefocusAngle"))
    inverse = np.linalg.inv(np.array(series.magnification))
    if np.array_equal(inverse, np.eye(2)):
        return mean + delta / 2, mean - delta / 2, angle
    seen = inverse.T @ defocus_ellipse(mean + delta / 2, mean - delta / 2, angle) @ inverse
    middle, half = (seen[:, 0, 0] + seen[:, 1, 1]) / 2, np.hypot((seen[:, 0, 0] - seen[:, 1, 1]) / 2, seen[:, 0, 1])
    return middle + half, middle - half, 0.5 * np.arctan2(2 * seen[:, 0, 1], seen[:, 0, 0] - seen[:, 1, 1])


def defocus_ellipse(defocus_u: Float, defocus_v: Float, angle_radians: Float) -> Float:
    """(F, 2, 2) the quadratic form D of which kᵀ·D·k is the defocus along k times k²."""
    mean, half = (defocus_u + defocus_v) / 2, (defocus_u - defocus_v) / 2
    cosine, sine = half * np.cos(2 * angle_radians), half * np.sin(2 * angle_radians)
    return np.stack([np.stack([mean + cosine, sine], -1), np.stack([sine, mean - cosine], -1)], -2)


def hermite_coefficients(nodes_x: Float, nodes_y: Float) -> Float:
    """Displacements (F, H, W) at the nodes of a natural cubic spline -> (F, 8·H·W) of the same spline as RELION writes it."""
    return np.concatenate([_hermite(nodes).reshape(len(nodes), -1) for nodes in (nodes_x, nodes_y)], 1)


def _hermite(nodes: Float) -> Float:
    """(F, H, W, 4) value, slope along x, slope along y, twist, per node spacing."""
    along_y, along_x = node_slopes(nodes.shape[1]), node_slopes(nodes.shape[2])
    slope_x, slope_y = nodes @ along_x.T, along_y @ nodes
    return np.stack([nodes, slope_x, slope_y, along_y @ slope_x], -1)


def _shift(series: WarpTiltSeries, frame: WarpFrame) -> Float:
    """(F, 2) Å: the axis offset, less what the movement grids do to the whole image, from the middle of images to their pixel n//2."""
    shift = series.axis_offset_angstrom.copy()
    for axis in (0, 1):
        movement = series.grid(f"GridMovement{'XY'[axis]}")
        if movement.is_even:
            shift[:, axis] -= movement.per_tilt(series.n_tilts)[:, 0, 0]
        if frame.image_size is not None and frame.image_angstrom is not None:
            shift[:, axis] += frame.image_angstrom[axis] / 2 - (frame.image_size[axis] // 2) * frame.pixel_size_angstrom
    return shift


def _half_pixel(rotation: Float, size: tuple[int, ...], pixel: float) -> Float:
    """(F, 2) Å by which the axis of a tomogram of odd size lies beside its middle."""
    odd = np.array([0.5 * pixel * (edge % 2) for edge in size])
    return np.asarray(rotation[:, :2] @ odd)


def _deformation(series: WarpTiltSeries, frame: WarpFrame) -> Deformation | None:
    """The movement grids, where they differ across the image: subtracted there, added here."""
    grids = [series.grid(f"GridMovement{axis}") for axis in "XY"]
    nodes = movement_nodes(series)
    if nodes is None or frame.image_size is None or all(grid.is_even for grid in grids):
        return None
    if any(abs(n * frame.pixel_size_angstrom - a) > 1e-3 for n, a in zip(frame.image_size, frame.image_angstrom or (), strict=True)):
        return None
    along_x, along_y = (-one[series.is_used] / frame.pixel_size_angstrom for one in nodes)
    height, width = along_x.shape[1:]
    return Deformation("spline", hermite_coefficients(along_x, along_y), (width, height))


def _weights(series: WarpTiltSeries) -> tuple[Float, Float, float]:
    """Scale (F,), B factor (F,) Å² and B factor per dose: as estimated, or 1, 0, 0 (the critical dose of all our data) where nothing was.

    M's B is exp(B·k²/4) with B < 0 and holds the decay by dose, which is taken apart here.
    """
    area, count = _area(series), series.n_tilts
    scale = np.full(count, series.weight)
    if not series.grid("GridDoseWeights").is_constant:
        scale = scale * at_centre(series, "GridDoseWeights")
    if series.grid("GridDoseBfacs").is_constant and series.b_factor == 0:
        return scale, np.zeros(count), 0.0
    decay = np.minimum(at_centre(series, "GridDoseBfacs"), -DOSE_B_FACTOR * series.dose)
    if series.grid("GridDoseBfacs").is_constant:
        decay = -4 * series.dose
    return scale, (-(decay + series.b_factor) - DOSE_B_FACTOR * series.dose) / area, DOSE_B_FACTOR / area


def _origin(frame: WarpFrame) -> dict[str, str]:
    """What the tilt series' row of tomograms.star keeps of where it came from."""
    if frame.file is None:
        return {}
    sizes = {label: str(edge) for label, edge in zip(IMAGE_SIZE_LABELS, frame.image_size or (), strict=False)}
    return {ORIGIN_LABEL: name_from(frame.file), **sizes}


def _columns(series: WarpTiltSeries) -> dict[str, NDArray[np.str_]]:
    """Of the tilts that are used: movie, tilt angle and axis as Warp has them."""
    used = series.is_used
    columns = {
        "rlnTomoNominalStageTiltAngle": text_of(series.angle_degrees[used]),
        "rlnTomoNominalTiltAxisAngle": text_of(series.axis_angle_degrees[used]),
    }
    has_movies = bool((series.movie_paths != "").all())
    return {"rlnMicrographMovieName": series.movie_paths[used], **columns} if has_movies else columns


def at_centre(series: WarpTiltSeries, name: str) -> Float:
    """(F,) a grid at the middle of volume or image."""
    middle = np.full(series.n_tilts, 0.5)
    return np.asarray(series.grid(name).at(middle, middle, series.n_tilts))


def _area(series: WarpTiltSeries) -> float:
    """det M: by how much areas of frequency space are larger in the specimen than in the image."""
    return float(np.linalg.det(np.array(series.magnification)))


def _coefficients(series: WarpTiltSeries, name: str) -> tuple[float, ...]:
    cells = [cell for cell in series.ctf.get(name, "").split(";") if cell.strip()]
    return tuple(_finite(cell) for cell in cells)


def _parameter(series: WarpTiltSeries, name: str, default: float) -> float:
    """A number of <CTF>, or of the options where no CTF was fitted."""
    cell = series.ctf.get(name) or series.options.get(name)
    return default if not cell else _finite(cell)


def _finite(cell: str) -> float:
    value = float(cell)
    if not math.isfinite(value):
        raise ValueError(cell)
    return value
