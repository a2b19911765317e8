"""The toy set of 50S assembly states D and E (tomoDRGN's simulation) as a RELION-5 project of 2D stacks.

Every image of the set has a pose, a shift and a defocus of its own, so every particle becomes a tilt series of its own.
The headers' pixel size of 1 Å is wrong (13.1 Å), and particles are dark, shifts are to be undone: facts/heterogeneity.md §5.4, §8.1.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np
from scipy.spatial.transform import Rotation

from tomobayes.formats.mrc import read_map
from tomobayes.formats.star import read_star
from tomobayes.model import Dataset, Optics, Particles, TiltSeries

PIXEL, BOX, DIAMETER = 13.1, 32, 290.0
OPTICS = Optics("opticsGroup1", 300.0, 2.7, 0.1)


@dataclass(frozen=True)
class Stacks:
    """2D stacks in memory, by particle; ``premultiplied``: with the CTF."""

    values: tuple[np.ndarray, ...]
    premultiplied: bool = False
    box: int = BOX
    pixel_size_angstrom: float = PIXEL

    def read(self, particle: int) -> np.ndarray:
        return self.values[particle]


def true_maps(shared: Path) -> list[np.ndarray]:
    """States D and E."""
    return [np.array(read_map(shared / f"data/toy_heterogeneity/10076_class{state}_32.mrc").data) for state in "DE"]


def toy(
    shared: Path, states: str = "DE", first_tilts: int | None = None, missing: int = 0, seed: int = 0, images: str = "sim"
) -> tuple[Dataset, np.ndarray]:
    """The particles of some states, and the state of each (0: D, 1: E).

    Parameters
    ----------
    first_tilts : how many images of each particle to take, the first (of least dose) first; missing : how many to leave out at random
    images : those with noise, "sim", or "clean" ones, in which particles are bright
    """
    folder = shared / "data/toy_heterogeneity"
    rows = next(iter(read_star(folder / "10076_both_32_sim.star").values())).columns
    boxes = {state: _images(folder / f"10076_class{state}_32_{images}.mrcs") for state in states}
    state_of = np.array([name.split("class")[1][0] for name in rows["rlnImageName"]])
    random = np.random.default_rng(seed)
    series, stacks, labels = [], [], []
    for state in states:
        for group in dict.fromkeys(rows["rlnGroupName"][state_of == state].tolist()):
            chosen = np.flatnonzero((state_of == state) & (rows["rlnGroupName"] == group))[:first_tilts]
            chosen = np.sort(random.permutation(chosen)[: max(1, len(chosen) - missing)])
            one = {label: values[chosen] for label, values in rows.items()}
            series.append(_series(f"{state}_{group}", one))
            numbers = [int(name.split("@")[0]) - 1 for name in one["rlnImageName"]]
            contrast = -1 if images == "sim" else 1
            stacks.append(contrast * _centred(boxes[state][numbers], one))
            labels.append("DE".index(state))
    return Dataset(tuple(series), (OPTICS,), _particles(series, tuple(stacks))), np.array(labels)


def _images(path: Path) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the headers lack the map string and the machine stamp
        return np.array(mrcfile.read(path))


def _series(name: str, rows: dict[str, np.ndarray]) -> TiltSeries:
    def of(label: str) -> np.ndarray:
        return rows[label].astype(float)

    angles = np.stack([of("rlnAngleRot"), of("rlnAngleTilt"), of("rlnAnglePsi")], 1)
    zero = np.zeros(len(angles))
    return TiltSeries(
        name=name,
        pixel_size_angstrom=PIXEL,
        hand=1.0,
        tomogram_size=(64, 64, 64),
        image_size=None,
        rotation=Rotation.from_euler("ZYZ", angles, degrees=True).as_matrix().transpose(0, 2, 1),
        shift_angstrom=np.zeros((len(angles), 2)),
        dose=-of("rlnCtfBfactor") / 4,
        defocus_u_angstrom=of("rlnDefocusU"),
        defocus_v_angstrom=of("rlnDefocusV"),
        astigmatism_radians=np.deg2rad(of("rlnDefocusAngle")),
        phase_shift_radians=np.deg2rad(of("rlnPhaseShift")),
        scale=of("rlnCtfScalefactor"),
        b_factor=zero,
        optics_name=OPTICS.name,
    )


def _centred(images: np.ndarray, rows: dict[str, np.ndarray]) -> np.ndarray:
    """Particles at the centre."""
    frequency = np.fft.fftfreq(BOX)
    x, y = (rows[label].astype(float)[:, None, None] for label in ("rlnOriginX", "rlnOriginY"))
    phase = np.exp(-2j * np.pi * (frequency * x + frequency[:, None] * y))
    return np.fft.ifft2(np.fft.fft2(images.astype(float)) * phase).real.astype(np.float32)


def _particles(series: list[TiltSeries], stacks: tuple[np.ndarray, ...]) -> Particles:
    count = len(series)
    half = np.empty(count, dtype=np.int64)
    half[np.random.default_rng(1).permutation(count)] = 1 + np.arange(count) % 2
    still = np.tile(np.eye(3), (count, 1, 1))
    return Particles(
        name=np.array([f"{one.name}/1" for one in series]),
        tilt_series=np.arange(count),
        optics=np.zeros(count, dtype=np.int64),
        position_angstrom=np.zeros((count, 3)),
        rotation_subtomogram=still,
        rotation_particle=still,
        origin_angstrom=np.zeros((count, 3)),
        half=half,
        class_number=np.ones(count, dtype=np.int64),
        tilt_prior_degrees=np.full(count, np.nan),
        psi_prior_degrees=np.full(count, np.nan),
        rot_prior_degrees=np.full(count, np.nan),
        stacks=Stacks(stacks),
        visible=tuple(np.ones(one.n_tilts, dtype=bool) for one in series),
    )
