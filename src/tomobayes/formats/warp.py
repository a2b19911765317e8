"""Warp, WarpTools and M <-> Dataset: the one module that other rooms import."""

from tomobayes.formats.warp_frame import WarpSizes
from tomobayes.formats.warp_particles import WarpParticles, read_warp_particles
from tomobayes.formats.warp_project import WarpProject, find_warp_project, is_warp_project
from tomobayes.formats.warp_read import WarpImport, read_warp
from tomobayes.formats.warp_tilt_series import WarpTiltSeries, read_warp_tilt_series
from tomobayes.formats.warp_tomostar import Tomostar, read_tomostar, write_tomostar
from tomobayes.formats.warp_write import WarpExport, write_warp
from tomobayes.formats.warp_write_series import write_warp_tilt_series

__all__ = [
    "Tomostar",
    "WarpExport",
    "WarpImport",
    "WarpParticles",
    "WarpProject",
    "WarpSizes",
    "WarpTiltSeries",
    "find_warp_project",
    "is_warp_project",
    "read_tomostar",
    "read_warp",
    "read_warp_particles",
    "read_warp_tilt_series",
    "write_tomostar",
    "write_warp",
    "write_warp_tilt_series",
]
