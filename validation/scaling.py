"""What an iteration and a whole refinement cost, on simulated sets of any size."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from commands import tomobayes
from tomobayes.formats.relion import read_dataset
from tomobayes.geometry.pointgroups import point_group
from tomobayes.imaging.gathering import Gatherer, Source, portions
from tomobayes.inference.refinement import Settings, initial_state, iterate
from tomobayes.maps.masks import sphere_mask

DIAMETER = 270.0
ANGSTROM = 384.0
"""Edge of the boxes."""


def simulated(folder: Path, box: int, tilts: int, series: int, particles: int) -> Path:
    """Ribosomes whose poses are known to 2° and 3 Å."""
    pixel, reach = ANGSTROM / box, 50.0
    image = round(3000 / pixel) // 2 * 2
    step = 2 * reach / (tilts - 1)
    words = ["simulate", "--model", "builtin:ribosome", "--angpix", pixel, "--box", box, "--image-size-px", image, image]
    words += ["--n-series", series, "--n-particles", particles, "--tilt-min", -reach, "--tilt-max", reach, "--tilt-step", step]
    words += ["--thickness", 600, "--min-distance", 200, "--snr", 0.1, "--pose-error", 2, "--position-error", 3, "--o", folder]
    tomobayes(*words)
    return folder


def iteration_seconds(folder: Path, box: int, most: int | None = None) -> float:
    """CPU seconds of one local iteration of the first ``most`` particles, images at hand."""
    torch.set_num_threads(1)
    data = read_dataset(folder)
    data = data.with_particles(replace(data.particles, half=1 + np.arange(len(data.particles)) % 2))
    parts = portions(data, np.arange(len(data.particles)) < (most or len(data.particles)), largest=64, folds=5)
    pixel = ANGSTROM / box
    mask = sphere_mask(box, DIAMETER / pixel)
    settings = Settings(box, pixel, DIAMETER, point_group("C1"), mask, sigma_rotation=3.0, offset_range=10.0, initial_lowpass=35.0)
    gather = Gatherer(data, Source("series", box, 1.0), settings.largest_radius)
    start = initial_state(data.particles, parts, gather, settings, None)
    before = time.process_time()
    iterate(data.particles, parts, gather, start, settings)
    return time.process_time() - before


TOLD = """
import sys
from pathlib import Path
from tomobayes.cli import main
code = main(sys.argv[2:])
(Path(sys.argv[1]).with_suffix(".peak")).write_text(Path("/proc/self/status").read_text())
raise SystemExit(code)
"""
"""Runs a command line and notes its largest resident memory; what wait4 tells of a child includes the parent it was forked from."""


def command(*words: object, folder: Path) -> tuple[float, float, str]:
    """Peak memory (bytes), CPU seconds and log of one command as a process of its own."""
    line = [sys.executable, "-c", TOLD, str(folder), *map(str, words), "--o", str(folder)]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    log = (folder / "run.log").read_text()
    assert status == 0, log
    peak = re.search(r"VmHWM:\s*(\d+) kB", folder.with_suffix(".peak").read_text())
    assert peak is not None
    return 1024.0 * float(peak[1]), usage.ru_utime + usage.ru_stime, log


def planned_bytes(log: str) -> float:
    """What the plan in a log says of memory."""
    return 1e9 * float(re.search(r"memory: about ([\d.]+) GB", log)[1])


def iterations_wall_seconds(log: str) -> float:
    """What the iterations in a log took."""
    times = re.findall(r"Iteration \d+: (?:(\d+) min )?([\d.]+) s", log)
    return sum(60 * float(minutes or 0) + float(seconds) for minutes, seconds in times)
