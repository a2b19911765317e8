"""Files that go from job to job, with the type labels by which RELION knows them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Node", "nodes_of"]

_STAR_ENDINGS = {
    "optimisation_set.star": "TomoOptimisationSet.star.relion",
    "tomograms.star": "TomogramGroupMetadata.star.relion",
    "particles.star": "ParticleGroupMetadata.star.relion",
    "data.star": "ParticleGroupMetadata.star.relion",
    "motion.star": "TomoTrajectoryData.star.relion",
    "postprocess.star": "ProcessData.star.relion.postprocess",
}


@dataclass(frozen=True)
class Node:
    """One file: its path as RELION writes it (relative to the project where it lies inside) and its type label."""

    name: str
    kind: str


def nodes_of(paths: Iterable[Path], project: Path) -> tuple[Node, ...]:
    """The nodes among ``paths``; files that RELION passes to no job are left out."""
    kinds = ((path, _kind(path)) for path in paths)
    return tuple(Node(_relative(path, project), kind) for path, kind in kinds if kind is not None)


def _kind(path: Path) -> str | None:
    if path.suffix == ".star":
        return next((kind for ending, kind in _STAR_ENDINGS.items() if path.name.endswith(ending)), None)
    if path.suffix != ".mrc":
        return None
    if path.stem.startswith("mask"):
        return "Mask3D.mrc"
    return "DensityMap.mrc.halfmap" if "half" in path.stem else "DensityMap.mrc"


def _relative(path: Path, project: Path) -> str:
    resolved, root = path.resolve(), project.resolve()
    return str(resolved.relative_to(root)) if resolved.is_relative_to(root) else str(resolved)
