"""The verbs: each takes its parameters and gives what it wrote. The mathematics is imported when a verb is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tomobayes.jobs.parameters import Extract, ImportProject, Info, Mask, Parameters, Postprocess, Reconstruct, Refine, Simulate

__all__ = ["VERBS", "extract", "import_project", "info", "mask", "postprocess", "reconstruct", "refine", "simulate"]


def extract(parameters: Extract) -> Path:
    """Write images of every particle for use in RELION: pseudo-subtomograms or 2D stacks."""
    from tomobayes.jobs.extract import run
    from tomobayes.jobs.frame import run_job

    return run_job(parameters, run)


def import_project(parameters: ImportProject) -> Path:
    """Bring a project of RELION 4 or 5 in as native RELION-5 files."""
    from tomobayes.jobs.frame import run_job
    from tomobayes.jobs.import_project import run

    return run_job(parameters, run)


def info(parameters: Info) -> None:
    """Say what was understood of a project: counts, pixel sizes, doses, tilts, hand, half-sets and anything odd."""
    from tomobayes.jobs.info import run

    run(parameters)


def mask(parameters: Mask) -> Path:
    """Make a soft mask from a map, or a sphere."""
    from tomobayes.jobs.frame import run_job
    from tomobayes.jobs.mask import run

    return run_job(parameters, run)


def postprocess(parameters: Postprocess) -> Path:
    """Measure the resolution of two half-maps under a mask, and sharpen their average."""
    from tomobayes.jobs.frame import run_job
    from tomobayes.jobs.postprocess import run

    return run_job(parameters, run)


def reconstruct(parameters: Reconstruct) -> Path:
    """Make half-maps from the poses that the particles have."""
    from tomobayes.jobs.frame import run_job
    from tomobayes.jobs.reconstruct import run

    return run_job(parameters, run)


def refine(parameters: Refine) -> Path:
    """Find poses and map of the particles, from a coarse reference to the finest resolution the images allow."""
    from tomobayes.jobs.frame import run_job
    from tomobayes.jobs.refine import run

    return run_job(parameters, run)


def simulate(parameters: Simulate) -> Path:
    """Simulate tilt series with known truth, from atomic models or maps."""
    from tomobayes.jobs.frame import run_job
    from tomobayes.jobs.simulate import run

    return run_job(parameters, run)


VERBS: Mapping[type[Parameters], Callable[[Any], Path | None]] = {
    Simulate: simulate,
    ImportProject: import_project,
    Info: info,
    Reconstruct: reconstruct,
    Extract: extract,
    Refine: refine,
    Mask: mask,
    Postprocess: postprocess,
}
"""Every verb on offer, in the order of the help."""
