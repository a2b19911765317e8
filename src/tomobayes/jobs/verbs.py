"""The verbs: each takes its parameters and gives what it wrote. The mathematics is imported when a verb is used."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from tomobayes.jobs.parameters import (
    Align,
    Check,
    Classify,
    CleanLattice,
    ClusterSubmit,
    Cycle,
    Dedupe,
    ExpandSymmetry,
    Export,
    Extract,
    ImportProject,
    Info,
    InitialModel,
    Join,
    LocalResolution,
    MapBack,
    Mask,
    Parameters,
    Postprocess,
    ProjectReport,
    Reconstruct,
    Refine,
    RefineCtf,
    SampleSurface,
    Select,
    Simulate,
    SplitHalves,
    Subtract,
)
from tomobayes.jobs.parameters.base import JobParameters

__all__ = [
    "VERBS",
    "align",
    "check",
    "classify",
    "clean_lattice",
    "cluster_submit",
    "cycle",
    "dedupe",
    "expand_symmetry",
    "export",
    "extract",
    "import_project",
    "info",
    "initial_model",
    "join",
    "local_resolution",
    "map_back",
    "mask",
    "postprocess",
    "project_report",
    "reconstruct",
    "refine",
    "refine_ctf",
    "sample_surface",
    "select",
    "simulate",
    "split_halves",
    "subtract",
]


def align(parameters: Align) -> Path:
    """Align tilt images with their particles: angles, shifts, positions, deformation and motion."""
    return _run("align", parameters)


def cycle(parameters: Cycle) -> Path:
    """Refine poses, optics and geometry in turn until the map improves no more."""
    return _run("cycle", parameters)


def check(parameters: Check) -> Path:
    """Say all that is wrong or odd with an experiment, and measure hand and contrast from its images."""
    return _run("check", parameters)


def classify(parameters: Classify) -> Path:
    """Tell particles of different structure apart: several maps, and which particle shows which."""
    return _run("classify", parameters)


def export(parameters: Export) -> Path:
    """Write particles and tilt series as other programs read them: RELION 4, Dynamo, STOPGAP, ArtiaX, ChimeraX, cryoDRGN and others."""
    return _run("export", parameters)


def extract(parameters: Extract) -> Path:
    """Write images of every particle for use in RELION: pseudo-subtomograms or 2D stacks."""
    return _run("extract", parameters)


def import_project(parameters: ImportProject) -> Path:
    """Bring in projects of RELION, Warp or M, or files of IMOD, AreTomo, SerialEM, CTFFIND, Dynamo and others together."""
    return _run("import_project", parameters)


def info(parameters: Info) -> None:
    """Say what was understood of a project: counts, pixel sizes, doses, tilts, hand, half-sets and anything odd."""
    with _imports_kept():
        from tomobayes.jobs.info import run

    run(parameters)


def initial_model(parameters: InitialModel) -> Path:
    """Make first maps from positions alone, without a reference."""
    return _run("initial_model", parameters)


def local_resolution(parameters: LocalResolution) -> Path:
    """Measure the resolution around every voxel of two half-maps, and filter their average to it."""
    return _run("local_resolution", parameters)


def map_back(parameters: MapBack) -> Path:
    """Put the average where its particles are: tomograms of it alone, and lists for ChimeraX and ArtiaX."""
    return _run("map_back", parameters)


def mask(parameters: Mask) -> Path:
    """Make a soft mask from a map, or a sphere."""
    return _run("mask", parameters)


def postprocess(parameters: Postprocess) -> Path:
    """Measure the resolution of two half-maps under a mask, and sharpen their average."""
    return _run("postprocess", parameters)


def project_report(parameters: ProjectReport) -> Path:
    """Put all jobs of a project on one page that needs no other file."""
    with _imports_kept():
        from tomobayes.jobs.project_report import run

    return run(parameters)


def cluster_submit(parameters: ClusterSubmit) -> Path:
    """Start a scheduler and workers on a cluster, through the site's own submission script."""
    return _run("cluster_submit", parameters)


def reconstruct(parameters: Reconstruct) -> Path:
    """Make half-maps from the poses that the particles have."""
    return _run("reconstruct", parameters)


def refine(parameters: Refine) -> Path:
    """Find poses and map of the particles, from a coarse reference to the finest resolution the images allow."""
    return _run("refine", parameters)


def refine_ctf(parameters: RefineCtf) -> Path:
    """Refine defocus, astigmatism, scale and aberrations of tilt series from their particles."""
    return _run("refine_ctf", parameters)


def simulate(parameters: Simulate) -> Path:
    """Simulate tilt series with known truth, from atomic models or maps."""
    return _run("simulate", parameters)


def select(parameters: Select) -> Path:
    """Choose particles by class, tilt series or any column."""
    return _run("select", parameters)


def dedupe(parameters: Dedupe) -> Path:
    """Keep the best of particles that are closer than a distance."""
    return _run("dedupe", parameters)


def split_halves(parameters: SplitHalves) -> Path:
    """Deal particles to half-sets anew, neighbours together."""
    return _run("split_halves", parameters)


def subtract(parameters: Subtract) -> Path:
    """Take the signal outside a mask off the tilt images, on the fly."""
    return _run("subtract", parameters)


def clean_lattice(parameters: CleanLattice) -> Path:
    """Keep particles whose neighbours stand where a lattice has them."""
    return _run("clean_lattice", parameters)


def expand_symmetry(parameters: ExpandSymmetry) -> Path:
    """Write every particle in all orientations in which a symmetric reference looks the same."""
    return _run("expand_symmetry", parameters)


def join(parameters: Join) -> Path:
    """Join several sets of particles in one."""
    return _run("join", parameters)


def sample_surface(parameters: SampleSurface) -> Path:
    """Put particles evenly over spheres, ellipsoids, tubes or free surfaces, along their normals."""
    return _run("sample_surface", parameters)


VERBS: Mapping[type[Parameters], Callable[[Any], Path | None]] = {
    Simulate: simulate,
    ImportProject: import_project,
    Info: info,
    Check: check,
    Reconstruct: reconstruct,
    Extract: extract,
    Export: export,
    InitialModel: initial_model,
    Refine: refine,
    Classify: classify,
    RefineCtf: refine_ctf,
    Align: align,
    Cycle: cycle,
    Mask: mask,
    Postprocess: postprocess,
    LocalResolution: local_resolution,
    MapBack: map_back,
    SampleSurface: sample_surface,
    Select: select,
    Dedupe: dedupe,
    SplitHalves: split_halves,
    Subtract: subtract,
    CleanLattice: clean_lattice,
    ExpandSymmetry: expand_symmetry,
    Join: join,
    ProjectReport: project_report,
    ClusterSubmit: cluster_submit,
}
"""Every verb on offer, in the order of the help."""


@contextmanager
def _imports_kept() -> Iterator[None]:
    """Spare the garbage collector what is imported: it lives as long as the process, and looking through it again and again takes long.

    When the process ends, nothing needs to be collected at all.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        atexit.unregister(gc.freeze)  # once, however many jobs a process runs
        atexit.register(gc.freeze)


def _run(module: str, parameters: JobParameters) -> Path:
    with _imports_kept():
        run = import_module(f"tomobayes.jobs.{module}").run
        from tomobayes.jobs.frame import run_job

    return run_job(parameters, run)
