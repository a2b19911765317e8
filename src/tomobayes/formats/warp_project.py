"""Which files make up a project of WarpTools or M: settings, populations, sources, species, and the XML files of the tilt series."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tomobayes.formats.problems import collecting, shortened
from tomobayes.formats.xml_document import Element, read_xml
from tomobayes.model import BadInput, Problem

__all__ = ["WarpProject", "find_warp_project", "is_warp_project"]

MAX_BIN_TIMES = 10.0
SUFFIXES = (".settings", ".population", ".source", ".species", ".xml")


@dataclass(frozen=True)
class WarpProject:
    """What was found.

    Parameters
    ----------
    series : XML files of the tilt series
    particles : the particle table of the only species, or None
    pixel_size_angstrom : of the images as recorded, or None where nothing says it
    binning : by how much Warp bins them when it averages the frames
    volume_size : (x, y, z) of the tomograms in pixels as recorded, or None
    """

    series: tuple[Path, ...]
    particles: Path | None = None
    pixel_size_angstrom: float | None = None
    binning: float = 1.0
    volume_size: tuple[int, int, int] | None = None


def is_warp_project(path: Path | str) -> bool:
    """Whether a path looks like something of Warp's: a file of theirs, or a folder with XML files of tilt series."""
    path = Path(path)
    if path.is_dir():
        return any(_is_tilt_series(one) for one in sorted(path.glob("*.xml")))
    return path.suffix in SUFFIXES[:-1] or (path.suffix == ".xml" and _is_tilt_series(path))


def find_warp_project(path: Path | str) -> WarpProject:
    """Find the files of a project.

    Parameters
    ----------
    path : folder with the XML files (WarpTools' processing folder, such as warp_tiltseries), one such file, a ``.settings`` file of
        WarpTools, or a ``.population`` or ``.source`` of M

    Raises
    ------
    BadInput
        nothing there, no tilt series, several settings or species to choose from, or files named that are absent
    """
    path = Path(path)
    if path.is_dir():
        return _with_settings(WarpProject(_xml_files(path)), path)
    if path.suffix == ".settings":
        return _of_settings(path)
    if path.suffix == ".source":
        return _of_source(path)
    if path.suffix == ".population":
        return _of_population(path)
    if path.suffix == ".xml" and path.exists():
        return _with_settings(WarpProject((path,)), path.resolve().parent)
    what = "is no file of Warp's" if path.exists() else "is not there"
    remedy = "give the folder with the XML files of the tilt series, a .settings, a .population or a .source file"
    raise BadInput(Problem(path, "", what, remedy=remedy))


def _xml_files(folder: Path) -> tuple[Path, ...]:
    found = tuple(one for one in sorted(folder.glob("*.xml")) if _is_tilt_series(one))
    if not found:
        remedy = "give WarpTools' processing folder of tilt series (often warp_tiltseries)"
        raise BadInput(Problem(folder, "", "holds no XML files of tilt series", remedy=remedy))
    return found


def _is_tilt_series(path: Path) -> bool:
    """Whether an XML file begins as that of a tilt series; UTF-16 has a zero in every other byte."""
    try:
        with path.open("rb") as stream:
            return b"<TiltSeries" in stream.read(4096).replace(b"\0", b"")
    except OSError:
        return False


def _with_settings(project: WarpProject, folder: Path) -> WarpProject:
    """The project with the settings file that lies beside or above its folder and names it, where there is just one."""
    candidates = [one for base in (folder.resolve(), folder.resolve().parent) for one in sorted(base.glob("*.settings"))]
    mine = [one for one in candidates if _names_folder(one, folder)]
    return project if len(mine) != 1 else _settings(project, mine[0])


def _names_folder(settings: Path, folder: Path) -> bool:
    try:
        name = _parameter(read_xml(settings).root, "ProcessingFolder")
    except BadInput:
        return False
    return bool(name) and (settings.resolve().parent / name).resolve() == folder.resolve()


def _of_settings(path: Path) -> WarpProject:
    root = read_xml(path).root
    name = _parameter(root, "ProcessingFolder") or _parameter(root, "DataFolder")
    if not name:
        raise BadInput(Problem(path, "Import", "names no ProcessingFolder", remedy="give the folder with the XML files itself"))
    return _settings(WarpProject(_xml_files(path.resolve().parent / name)), path)


def _settings(project: WarpProject, path: Path) -> WarpProject:
    root = read_xml(path).root
    pixel, times = _positive(root, "PixelSize") or _positive(root, "PixelSizeX"), _finite(root, "BinTimes")
    binning = 2.0 ** min(max(times or 0.0, 0.0), MAX_BIN_TIMES)
    return replace(project, pixel_size_angstrom=pixel, binning=binning, volume_size=_volume_size(root))


def _of_source(path: Path) -> WarpProject:
    """A data source of M: its items lie beside it."""
    root = read_xml(path).root
    names = [one.attributes["Name"] for one in root.walk() if one.tag == "File" and one.attributes.get("Name")]
    files = [path.parent / re.sub(r"\.tomostar$", ".xml", Path(name.replace("\\", "/")).name) for name in names]
    missing = [str(one) for one in files if not one.exists()]
    if missing or not files:
        what = f"names tilt series that are not there: {shortened(missing)}" if missing else "names no tilt series"
        raise BadInput(Problem(path, "Files", what, remedy="keep the source beside the XML files of its tilt series"))
    pixel = _positive(root, "PixelSizeX") or _positive(root, "PixelSize")
    return WarpProject(tuple(files), pixel_size_angstrom=pixel, volume_size=_volume_size(root))


def _of_population(path: Path) -> WarpProject:
    root = read_xml(path).root
    problems: list[Problem] = []
    sources: list[WarpProject] = []
    for file in _paths(root, "Source", path):
        with collecting(problems):
            sources.append(_of_source(file))
    species = _paths(root, "Species", path)
    if not sources and not problems:
        problems.append(Problem(path, "Sources", "names no data sources", remedy="give the folder with the XML files itself"))
    if len({(one.pixel_size_angstrom, one.volume_size) for one in sources}) > 1:
        problems.append(Problem(path, "Sources", "sources differ in pixel size or tomogram size", remedy="import each source by itself"))
    if problems:
        raise BadInput(problems)
    particles = species[0].parent / f"{species[0].stem}_particles.star" if len(species) == 1 else None
    return replace(sources[0], series=tuple(one for source in sources for one in source.series), particles=particles)


def _paths(root: Element, tag: str, path: Path) -> list[Path]:
    names = [one.attributes["Path"] for one in root.walk() if one.tag == tag and one.attributes.get("Path")]
    return [path.parent / name.replace("\\", "/") for name in names]


def _volume_size(root: Element) -> tuple[int, int, int] | None:
    sizes: Sequence[float | None] = [_positive(root, f"Dimensions{axis}") for axis in "XYZ"]
    known = [round(size) for size in sizes if size is not None and size >= 1]
    return (known[0], known[1], known[2]) if len(known) == 3 else None


def _parameter(root: Element, name: str) -> str:
    """The value of a <Param>, at any depth; empty where there is none."""
    return next((one.attributes.get("Value", "") for one in root.walk() if one.tag == "Param" and one.attributes.get("Name") == name), "")


def _finite(root: Element, name: str) -> float | None:
    try:
        value = float(_parameter(root, name))
    except ValueError:
        return None
    return value if np.isfinite(value) and abs(value) < 1e9 else None


def _positive(root: Element, name: str) -> float | None:
    value = _finite(root, name)
    return value if value is not None and value > 0 else None
