"""What the tables of particles and tilt series tell, as the view of a job draws it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from small_experiment import OPTICS, particles, positions, series
from tomobayes.model import Dataset, Deformation
from tomobayes.web.data_view import sections_of
from tomobayes.web.datasets import Data


def moved() -> Dataset:
    """Nine particles that move, in a tilt series that is deformed, with what a refinement says of them."""
    one = replace(series(64), deformation=Deformation("affine", np.array([1e-3, 0.0, 0.0])), scale=np.linspace(0.5, 1, 13))
    some = particles(positions(3, 12))
    columns = {"rlnMaxValueProbDistribution": np.linspace(0, 1, 9).astype(str), "rlnTomoName": np.full(9, "TS_01")}
    columns |= {f"rlnAngle{axis}": np.linspace(0, 90, 9).astype(str) for axis in ("Rot", "Tilt", "Psi")}
    motion = tuple(np.random.default_rng(1).normal(size=(9, 13, 3)))
    return Dataset((one,), (OPTICS,), replace(some, columns=columns), motion_angstrom=motion)


def titles(dataset: Dataset) -> dict[str, list[str]]:
    return {section.title: [item.title for item in section.items] for section in sections_of(Data((), "", dataset))}


def test_everything_that_is_known_is_drawn():
    tracks = ["Motion along x and y", "Motion along x and z", "Motion along y and z"]
    shifts = ["Image shift along x", "Image shift along y"]
    assert titles(moved()) == {
        "Particles": ["Viewing directions", "Posterior"],
        "Tilt images": ["Defocus", "Dose before each image", *shifts, "Scale", "Distribution of defocus"],
        "Motion and deformation": [*tracks, "Deformation"],
        "Tilt series": ["Tilt series"],
    }


def test_what_is_not_known_is_left_out():
    still = replace(moved(), motion_angstrom=None)
    still = replace(still, tilt_series=(replace(still.tilt_series[0], deformation=None),))
    assert "Motion and deformation" not in titles(still)
