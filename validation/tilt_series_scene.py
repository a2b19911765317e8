"""Small tilt series with one thing wrong in what is written of them, and how far a result is from the truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from commands import tomobayes
from tomobayes.fourier.grids import half_plane
from tomobayes.imaging.views import views_of
from tomobayes.model import Dataset, Optics, TiltSeries
from tomobayes.optics import even_phase, odd_phase

BOX, PIXEL, DIAMETER = 96, 4.0, 280
"""Edge in pixels, Å per pixel and Å: 70S ribosomes."""


@dataclass(frozen=True)
class Planted:
    """Files of an experiment with something planted.

    Parameters
    ----------
    folder : what ``simulate`` wrote
    start : optimisation set of the written parameters, with half maps made from them and half-sets: the --i of a refinement
    truth : folder of the true optimisation set, which has the same particles in the same order
    mask : around the true map
    """

    folder: Path
    start: Path
    truth: Path
    mask: Path

    def oracle(self) -> Path:
        """Optimisation set of the true parameters, with half maps made from them."""
        out = self.folder.with_name(f"{self.folder.name}_oracle")
        if not out.exists():
            tomobayes("reconstruct", "--i", self.truth, "--box", BOX, "--bin", 1, "--particle-diameter", DIAMETER, "--o", out)
        return out


def planted(folder: Path, *options: object, particles: int = 64, snr: float = 0.05, seed: int = 11) -> Planted:
    """Two tilt series like the shared ribosomes', 41 tilts of 512² pixels, with ``simulate``'s further options; 25 s.

    Parameters
    ----------
    folder : to be made
    options : of ``simulate``, what is planted: ``"--trefoil", 60``
    """
    scene = ("--n-particles", particles, "--snr", snr, "--seed", seed, "--box", BOX, "--angpix", PIXEL)
    tomobayes("simulate", *scene, "--min-distance", 270, "--thickness", 700, *options, "--o", folder)
    start, mask = folder.with_name(f"{folder.name}_start"), folder.with_name(f"{folder.name}_mask.mrc")
    tomobayes("reconstruct", "--i", folder, "--box", BOX, "--bin", 1, "--particle-diameter", DIAMETER, "--o", start)
    tomobayes("mask", "--i", folder / "truth_class1.mrc", "--o", mask)
    return Planted(folder, start, folder / "truth", mask)


def position_error(found: Dataset, truth: Dataset) -> list[float]:
    """Å rms per axis of the projected particle positions, per tilt series: shifts, angles, positions, motion and deformation together."""
    errors = []
    for index, series in enumerate(truth.tilt_series):
        rows = np.flatnonzero(truth.particles.tilt_series == index)
        places = [views_of(one, rows).centre_px for one in (found, truth)]
        assert places[0] is not None and places[1] is not None
        errors.append(float((places[0] - places[1]).square().mean().sqrt()) * series.pixel_size_angstrom)
    return errors


def defocus_error(found: TiltSeries, truth: TiltSeries) -> np.ndarray:
    """(F,) Å, found minus true mean defocus."""
    return 0.5 * (found.defocus_u_angstrom + found.defocus_v_angstrom - truth.defocus_u_angstrom - truth.defocus_v_angstrom)


def astigmatism_error(found: TiltSeries, truth: TiltSeries) -> np.ndarray:
    """(F, 2) Å, found minus true U - V as a vector of twice the direction."""
    vectors = [(one.defocus_u_angstrom - one.defocus_v_angstrom) * np.exp(2j * one.astigmatism_radians) for one in (found, truth)]
    return np.stack([(vectors[0] - vectors[1]).real, (vectors[0] - vectors[1]).imag], -1)


def scale_error(found: TiltSeries, truth: TiltSeries) -> np.ndarray:
    """(F,) relative error of the scale after both are divided by their mean."""
    return (found.scale / found.scale.mean()) / (truth.scale / truth.scale.mean()) - 1


def odd_phase_error(found: Optics, truth: Optics, resolution_angstrom: float) -> np.ndarray:
    """Degrees on samples up to a resolution, without the best linear phase: that is a shift of all particles."""
    frequency = _disc(resolution_angstrom)
    error = (odd_phase(found.odd_zernike, frequency) - odd_phase(truth.odd_zernike, frequency)).numpy()
    shift, *_ = np.linalg.lstsq(frequency.numpy(), error)
    return np.rad2deg(error - frequency.numpy() @ shift)


def even_phase_error(found: Optics, truth: Optics, resolution_angstrom: float) -> np.ndarray:
    """Degrees on samples up to a resolution, without the best quadratic phase: that is a change of all defoci and the plate's phase."""
    frequency = _disc(resolution_angstrom)
    error = (even_phase(found.even_zernike, frequency) - even_phase(truth.even_zernike, frequency)).numpy()
    x, y = frequency.numpy().T
    quadratic = np.stack([np.ones_like(x), x * x, x * y, y * y], -1)
    change, *_ = np.linalg.lstsq(quadratic, error)
    return np.rad2deg(error - quadratic @ change)


def magnification_error(found: Optics, truth: Optics) -> np.ndarray:
    """(2, 2) found minus true magnification relative to the true one."""
    return np.array(found.magnification) @ np.linalg.inv(np.array(truth.magnification)) - np.eye(2)


def _disc(resolution_angstrom: float) -> torch.Tensor:
    """(J, 2) frequencies in 1/Å."""
    return half_plane(24).double() / (24 * resolution_angstrom)
