"""The views of one tilt series, with what each program knows of every one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tomobayes.formats.problems import shortened
from tomobayes.formats.sources import Given, Sources
from tomobayes.formats.view_matching import match_views
from tomobayes.formats.views import Acquired, AcquiredView, AlignedView, DefocusedView, ViewKey
from tomobayes.model import Problem

__all__ = ["ComposedView", "ComposedViews", "compose_views"]

REFINED_BY_DEGREES = 5.0
"""Alignments move tilt angles against the others by far less."""

FEW = 0.1
"""Up to this part of the views, angles refined by more are taken for mistakes of the alignment; beyond, views are mixed up."""


@dataclass(frozen=True)
class ComposedView:
    """One view with all that is known of it; ``aligned_row`` is its place in the alignment, ``image`` that in the images."""

    key: ViewKey
    dose: float
    file: str
    aligned: AlignedView
    aligned_row: int
    defocused: DefocusedView
    image: int | None


@dataclass(frozen=True)
class ComposedViews:
    """Views that can be used, in the order of their stack or of their angles; those left out, and why; where order and dose come from.

    ``doubts`` are sentences about views that are used, but are worth a look.
    """

    views: tuple[ComposedView, ...]
    n_taken: int
    left_out: tuple[str, ...]
    order_from: str
    dose_from: str
    doubts: tuple[str, ...] = ()


def compose_views(sources: Sources, given: Given, problems: list[Problem]) -> ComposedViews | None:
    """Bring together what the files tell of every view; None where there are problems, which are added."""
    n_before = len(problems)
    taken, order_from, dose_from = _taken(sources, given, problems)
    assert sources.aligned is not None and sources.defocused is not None
    file = sources.acquired.file if sources.acquired else sources.aligned.file
    keys = _with_sections([view.key for view in taken], sources)
    places = _Places(
        aligned=_find(keys, [view.key for view in sources.aligned.views], sources.aligned.file, file, problems),
        images=[None] * len(keys) if sources.images is None else _find(keys, sources.images.keys, sources.images.file, file, problems),
        defocused=_find_defoci(keys, sources, file, problems),
    )
    if len(problems) > n_before:
        return None
    found, left_out = _joined(taken, keys, places, sources, problems)
    doubts = _check_angles(found, sources, problems)
    if not found and len(problems) == n_before:
        problems.append(Problem(sources.aligned.file, "", f"leaves no view of {sources.name}", remedy="align some of its views"))
    if len(problems) > n_before:
        return None
    return ComposedViews(tuple(sorted(found, key=_place)), len(taken), tuple(left_out), order_from, dose_from, doubts)


@dataclass(frozen=True)
class _Places:
    """Where every view is among those of each program, None where it is not."""

    aligned: Sequence[int | None]
    images: Sequence[int | None]
    defocused: Sequence[int | None]


def _joined(
    taken: Sequence[AcquiredView], keys: Sequence[ViewKey], places: _Places, sources: Sources, problems: list[Problem]
) -> tuple[list[ComposedView], list[str]]:
    """Views with all that is known of them, and those that cannot be used, each with the reason."""
    assert sources.aligned is not None and sources.defocused is not None
    found, left_out = [], []
    for view, key, row, image, defocus in zip(taken, keys, places.aligned, places.images, places.defocused, strict=True):
        why = _why_left_out(sources, row, image)
        if why or row is None:
            left_out.append(f"{key} ({why})")
        elif defocus is None:
            what = f"has no defocus for the view {key}"
            problems.append(Problem(sources.defocused.file, "", what, remedy="fit the CTF of every image that is used"))
        else:
            one = sources.aligned.views[row], row, sources.defocused.views[defocus], image
            found.append(ComposedView(key, view.dose or 0.0, view.file, *one))
    return found, left_out


def _taken(sources: Sources, given: Given, problems: list[Problem]) -> tuple[list[AcquiredView], str, str]:
    """All views that were taken, with order and dose, and where both come from."""
    assert sources.aligned is not None
    acquired = sources.acquired
    if acquired is None:
        keys = [replace(view.key, stage_degrees=_stage(view)) for view in sources.aligned.views]
        fault = "no mdoc is given"
        acquired = Acquired(sources.aligned.file, tuple(AcquiredView(key) for key in keys), dose_fault=fault, order_fault=fault)
    views, order_from = _ordered(acquired, sources, given, problems)
    if given.dose_per_tilt is not None and views[0].key.order is not None:
        return (
            [replace(view, dose=given.dose_per_tilt * (view.key.order or 0)) for view in views],
            order_from,
            "--dose-per-tilt and the order",
        )
    if acquired.dose_fault and given.dose_per_tilt is None:
        why = "late images have lost detail, and count less"
        problems.append(Problem(acquired.file, "", f"the doses are not known: {acquired.dose_fault}", why, "give --dose-per-tilt (e/Å²)"))
    if views[0].key.order is None and (given.dose_per_tilt is not None or all(view.dose is None for view in views)):
        remedy = (
            "give --order section if views were taken in the order of the stack, or --order FILE with the stage angles as they were taken"
        )
        problems.append(
            Problem(acquired.file, "", f"the order of the views is not known: {acquired.order_fault}", "doses follow it", remedy)
        )
    return views, order_from, f"{acquired.file.name}"


def _ordered(acquired: Acquired, sources: Sources, given: Given, problems: list[Problem]) -> tuple[list[AcquiredView], str]:
    """The views with their order: of the user's file, of the stack, or of their times."""
    views = list(acquired.views)
    if sources.order is not None:
        listed = [ViewKey(float(angle), order=place) for place, angle in enumerate(sources.order)]
        places = _find([replace(view.key, frames="") for view in views], listed, Path("--order"), acquired.file, problems)
        missing = [str(view.key) for view, place in zip(views, places, strict=True) if place is None]
        if missing:
            problems.append(Problem(None, "--order", f"does not list {shortened(missing)}", remedy="list every view that was taken"))
        return [replace(view, key=replace(view.key, order=place)) for view, place in zip(views, places, strict=True)], "--order"
    if given.order == "section" and all(view.key.section is not None for view in views):
        ranks = np.argsort(np.argsort([view.key.section or 0 for view in views])).tolist()
        return [replace(view, key=replace(view.key, order=rank)) for view, rank in zip(views, ranks, strict=True)], "the stack"
    return views, acquired.file.name if views[0].key.order is not None else "not known"


def _with_sections(keys: Sequence[ViewKey], sources: Sources) -> list[ViewKey]:
    """Keys with their place in the stack that programs worked on, where its stage angles are known; else the mdoc's."""
    stacks = [sources.images.keys] if sources.images is not None else []
    stacks += [tuple(view.key for view in sources.aligned.views)] if sources.aligned is not None else []
    for stack in stacks:
        if all(key.section is not None and key.stage_degrees is not None for key in stack):
            bare = [replace(key, frames="") for key in keys]
            places = match_views(bare, stack, Path(), Path()).of_known
            return [replace(key, section=None if place is None else stack[place].section) for key, place in zip(keys, places, strict=True)]
    return list(keys)


def _find_defoci(keys: Sequence[ViewKey], sources: Sources, file: Path, problems: list[Problem]) -> Sequence[int | None]:
    """Places of the views among the defoci; those that are in no stack have none, where defoci are known by their section."""
    assert sources.defocused is not None
    offered = [view.key for view in sources.defocused.views]
    by_section = all(key.stage_degrees is None and not key.frames for key in offered)
    there = [row for row, key in enumerate(keys) if key.section is not None or not by_section]
    places = _find([keys[row] for row in there], offered, sources.defocused.file, file, problems)
    of_row = dict(zip(there, places, strict=True))
    return [of_row.get(row) for row in range(len(keys))]


def _find(keys: Sequence[ViewKey], other: Sequence[ViewKey], file: Path, known_file: Path, problems: list[Problem]) -> Sequence[int | None]:
    match = match_views(keys, other, file, known_file)
    problems.extend(match.problems)
    return match.of_known


def _why_left_out(sources: Sources, row: int | None, image: int | None) -> str:
    assert sources.aligned is not None
    if row is None:
        return "not aligned"
    if sources.aligned.views[row].excluded:
        return f"excluded by {sources.aligned.program}"
    return "no image" if sources.images is not None and image is None else ""


def _check_angles(views: Sequence[ComposedView], sources: Sources, problems: list[Problem]) -> tuple[str, ...]:
    """Refined angles must follow those of the stage but for one offset: views that were mixed up do not. Doubts about a few."""
    stage = [view.key.stage_degrees for view in views]
    assert sources.aligned is not None
    if None in stage or not views:
        return ()
    off = np.array([view.aligned.tilt_degrees for view in views]) - np.array(stage, dtype=np.float64)
    wrong = np.flatnonzero(np.abs(off - np.median(off)) > REFINED_BY_DEGREES)
    listed = shortened([f"{views[i].aligned.tilt_degrees:.1f}° for {views[i].key}" for i in wrong.tolist()])
    if len(wrong) > max(1, FEW * len(views)):
        remedy = "give the .rawtlt of the stack, or the alignment of this tilt series"
        what = f"has tilt angles that are not those of the stage: {listed}"
        problems.append(Problem(sources.aligned.file, "", what, "views would be mixed up", remedy))
        return ()
    return (f"the alignment has {listed}, which is worth a look",) if len(wrong) else ()


def _stage(view: AlignedView) -> float:
    return view.tilt_degrees if view.key.stage_degrees is None else view.key.stage_degrees


def _place(view: ComposedView) -> tuple[float, float]:
    return (view.key.section if view.key.section is not None else 0.0, view.aligned.tilt_degrees)
