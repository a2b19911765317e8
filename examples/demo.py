"""From simulated tilt images to a refined map, and how far it is from the truth.

Run as ``python examples/demo.py [FOLDER]``. Every step is the Python form of a command; the commands are printed.
"""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import chdir
from pathlib import Path

import numpy as np

import tomobayes as tb
from tomobayes.formats.mrc import read_map, write_map
from tomobayes.formats.relion import read_dataset
from tomobayes.maps.filters import low_pass
from tomobayes.maps.fsc import fsc, resolution_at
from tomobayes.model import Map, Particles

BLUR_ANGSTROM = 50.0


def main() -> None:
    """Simulate, refine from positions alone, post-process, compare: four jobs of a project."""
    project = Path(sys.argv[1] if len(sys.argv) > 1 else "demo")
    shutil.rmtree(project, ignore_errors=True)
    project.mkdir(parents=True)
    start = time.monotonic()
    with chdir(project):
        _run(project, start)


def _run(project: Path, start: float) -> None:
    experiment = tb.simulate(
        tb.Simulate(
            model=("builtin:ribosome",),
            angpix=8,
            box=48,
            n_series=2,
            n_particles=32,
            image_size_px=(256, 256),
            tilt_step=4,
            thickness=600,
            snr=0.1,
            position_error=5,
            no_angles=True,
            seed=7,
        )
    )
    reference = blurred(experiment / "truth_class1.mrc", Path("reference.mrc"))
    refined = tb.refine(tb.Refine(i=experiment, ref=reference, particle_diameter=270, offset_range=25))
    mask = tb.mask(tb.Mask(i=refined / "run_class001.mrc", lowpass=30))
    final = tb.postprocess(tb.Postprocess(i=refined, mask=mask / "mask.mrc"))

    found = read_dataset(refined).particles
    truth = read_dataset(experiment, particles=experiment / "particles_truth.star").particles
    angle, shift = pose_errors(found, truth)
    picked = np.linalg.norm(read_dataset(experiment).particles.centre_angstrom - truth.centre_angstrom, axis=1)
    print()
    fineness = true_resolution(refined, experiment, mask / "mask.mrc")
    print(f"Map        agrees with the true one (FSC 0.5) to {fineness:.1f} Å; the finest possible is 16 Å")
    print(f"Angles     median error {np.median(angle):.2f}°, {np.mean(angle < 10):.0%} of particles within 10° (nothing was known)")
    print(f"Positions  median error {np.median(shift):.2f} Å (picked: {np.median(picked):.1f} Å)")
    print(f"Time       {time.monotonic() - start:.0f} s")
    print(f"Reports    {project / refined / 'report.html'}")
    print(f"           {project / final / 'report.html'}")
    print(f"Project    tomobayes gui {project}")


def blurred(path: Path, target: Path) -> Path:
    """A map that shows no more than the outline, as a first reference does."""
    sharp = read_map(path)
    write_map(target, Map(low_pass(sharp.data, sharp.pixel_size_angstrom, BLUR_ANGSTROM), sharp.pixel_size_angstrom))
    return target


def true_resolution(refined: Path, experiment: Path, mask: Path) -> float:
    """Å at which the average of the half-maps and the truth cease to correlate by half, inside the mask."""
    halves = [read_map(refined / f"run_half{half}_class001_unfil.mrc").data for half in (1, 2)]
    truth, inside = read_map(experiment / "truth_class1.mrc"), read_map(mask).data
    return resolution_at(fsc((halves[0] + halves[1]) * inside, truth.data * inside), truth.box, truth.pixel_size_angstrom, 0.5)


def pose_errors(found: Particles, truth: Particles) -> tuple[np.ndarray, np.ndarray]:
    """Angles (degrees) and distances (Å) to the true poses, without the one rotation and shift that all share: the map's own frame."""
    relative = np.swapaxes(found.rotation, 1, 2) @ truth.rotation
    closest = max(relative, key=lambda one: np.median(np.einsum("pij,ij->p", relative, one)))
    near = relative[angles(np.swapaxes(relative, 1, 2) @ closest) < 10]
    left, _, right = np.linalg.svd(near.sum(0))
    common = left @ right
    shift = np.einsum("pji,pj->pi", truth.rotation, found.centre_angstrom - truth.centre_angstrom)
    rest = shift - np.median(shift, axis=0)
    return angles(np.swapaxes(relative, 1, 2) @ common), np.linalg.norm(rest, axis=1)


def angles(rotation: np.ndarray) -> np.ndarray:
    """Degrees by which rotations (P, 3, 3) turn."""
    cosine = (np.trace(rotation, axis1=1, axis2=2) - 1) / 2
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


if __name__ == "__main__":
    main()
