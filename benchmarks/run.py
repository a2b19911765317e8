"""How fast the program is on this machine: kernels in one process, whole jobs as processes of their own.

Run as ``python benchmarks/run.py`` (``make bench``). Jobs need the shared data ($TOMOBAYES_SHARED, else ../shared).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from tomobayes.compute.threads import use_threads
from tomobayes.formats.relion import read_dataset
from tomobayes.fourier.grids import half_plane
from tomobayes.fourier.slices import Accumulator, extract_slices
from tomobayes.fourier.volume import from_map
from tomobayes.geometry.healpix import rotation_grid
from tomobayes.imaging.crops import Crop
from tomobayes.imaging.observation import from_tilt_images
from tomobayes.inference.likelihood import log_likelihood

ROOT = Path(__file__).resolve().parents[1]
BOX, TILTS = 96, 41
SAMPLE_BYTES = {"extraction": 84, "insertion": 216}
"""Per sample, if no voxel stayed in a cache: eight complex neighbours, or those and their weights twice, the point, the value."""
RELION_SECONDS = {"align with motion": 19.2, "refine-ctf": 9.2}
"""CPU seconds of RELION 5 for the same on the same files, on the machine on which this program was written."""


def main() -> None:
    """Print one line per figure."""
    threads = use_threads(None)
    print(f"{threads} threads; box {BOX}, {TILTS} tilts\n")
    products, copying = product_peak(), copying_peak()
    print(f"{'matrix products, float32':34} {products:8.1f} GFLOP/s\n{'copying':34} {copying:8.1f} GB/s")
    for name, milliseconds in kernel_times().items():
        share = SAMPLE_BYTES[name] / milliseconds / copying
        print(
            f"{name:34} {milliseconds:8.1f} ms/Mpixel of wall, {milliseconds * threads:8.1f} core-ms at most, {share:5.0%} of copying speed"
        )
    for name, speed in comparison_speeds().items():
        print(f"{name:34} {speed:8.1f} GFLOP/s, {speed / products:5.0%} of the speed of products")
    for name, milliseconds in gathering_times().items():
        print(f"{name:34} {milliseconds:8.3f} ms/image of wall")
    for name, words in job_commands().items():
        wall, cpu, memory = whole_process(words)
        beside = f", RELION's {RELION_SECONDS[name]} CPU s" if name in RELION_SECONDS else ""
        print(f"{name:34} {cpu:8.1f} CPU s, {wall:6.1f} s of wall, {memory:6.0f} MB at most{beside}")


def fastest(work: Callable[[], object], repeats: int = 5) -> float:
    """Seconds of the fastest of several runs, after one that compiles."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def product_peak() -> float:
    """GFLOP/s of a large float32 matrix product: what a comparison could reach."""
    one = torch.randn(2048, 2048, generator=torch.Generator().manual_seed(1))
    return 2 * 2048**3 / fastest(lambda: one @ one) / 1e9


def copying_peak() -> float:
    """GB/s, read and written, of copying an array that no cache holds."""
    whole = torch.zeros(2**26)
    other = torch.empty_like(whole)
    return 2 * whole.nbytes / fastest(lambda: other.copy_(whole)) / 1e9


def samples() -> torch.Tensor:
    """Points of all pixels of all tilts, in the plane of each tilt turned about y."""
    plane = half_plane(BOX // 2 - 1).float()
    angle = torch.deg2rad(torch.linspace(-60, 60, TILTS))
    x, y = plane[:, :1], plane[:, 1:].expand(-1, TILTS)
    return torch.stack([x * angle.cos(), y, x * angle.sin()], -1).reshape(-1, 3).contiguous()


def kernel_times() -> dict[str, float]:
    """Milliseconds per million samples."""
    generator = torch.Generator().manual_seed(1)
    volume = from_map(torch.randn((BOX,) * 3, generator=generator))
    points, rotations = samples(), torch.from_numpy(rotation_grid(1)[:16]).float()
    values = torch.randn(16, len(points), dtype=torch.complex64, generator=generator)
    weights = torch.rand(16, len(points), generator=generator)
    accumulator = Accumulator(BOX, BOX // 2 - 1)
    scale = 1e3 / (16 * len(points) / 1e6)
    return {
        "extraction": scale * fastest(lambda: extract_slices(volume, rotations, points)),
        "insertion": scale * fastest(lambda: accumulator.insert(rotations, points, values, weights)),
    }


def comparison_speeds() -> dict[str, float]:
    """Arithmetic speed of comparing 16 particles at 33 shifts with 256 slices, as float32 and with bfloat16 products."""
    generator = torch.Generator().manual_seed(1)
    shape = {"particles": 16, "shifts": 33, "orientations": 256, "samples": 30_000}
    data = torch.randn(shape["particles"], shape["shifts"], shape["samples"], dtype=torch.complex64, generator=generator)
    weight = torch.rand(shape["particles"], shape["samples"], generator=generator)
    slices = torch.randn(shape["orientations"], shape["samples"], dtype=torch.complex64, generator=generator)
    rows = shape["particles"] * (4 * shape["shifts"] + 2)
    operations = rows * shape["orientations"] * shape["samples"]
    speeds = {}
    for name, precision in (("comparison, float32", "highest"), ("comparison, bfloat16 products", "medium")):
        torch.set_float32_matmul_precision(precision)
        speeds[name] = operations / fastest(lambda: log_likelihood(data, weight, slices), 3) / 1e9
    torch.set_float32_matmul_precision("highest")
    return speeds


def gathering_times() -> dict[str, float]:
    """Milliseconds from a tilt image to D and W of one particle, on the shared ribosomes."""
    if (folder := ribosomes()) is None:
        return {}
    dataset = read_dataset(folder / "optimisation_set.star")
    rows = np.flatnonzero(dataset.particles.tilt_series == 0)[:32]
    scale = 1e3 / (len(rows) * dataset.tilt_series[0].n_tilts)
    crops = {"images, box 96": Crop(96, 96, 96), "images, box 96 of 160": Crop(96, 160, 160), "images, box 48 of 80": Crop(48, 80, 160)}
    return {
        name: scale * fastest(lambda crop=crop: from_tilt_images(dataset, rows, crop, crop.box // 2 - 1)) for name, crop in crops.items()
    }


def ribosomes() -> Path | None:
    """The folder of the shared ribosomes, where there is one."""
    folder = Path(os.environ.get("TOMOBAYES_SHARED", ROOT.parent / "shared")) / "data/simulated/ribosome"
    return folder if folder.is_dir() else None


def job_commands() -> dict[str, list[str]]:
    """Jobs on the shared ribosomes."""
    if (folder := ribosomes()) is None:
        print("no shared data: jobs are left out")
        return {}
    poses = ["--i", str(folder / "optimisation_set.star"), "--particle-diameter", "270"]
    picked = ["--i", str(folder / "optimisation_set_picked.star"), "--ref", str(folder / "ref_50A_bin2.mrc"), "--particle-diameter", "270"]
    return {
        "reconstruct, box 96": ["reconstruct", *poses, "--box", "96", "--extract-box", "96"],
        "reconstruct, box 96, larger crop": ["reconstruct", *poses, "--box", "96"],
        "refine from positions, box 48": ["refine", *picked],
        **tilt_series_commands(folder.with_name("ribosome_errors")),
    }


def tilt_series_commands(folder: Path) -> dict[str, list[str]]:
    """Alignment and optics of the shared ribosomes with wrong parameters, from RELION's half-maps."""
    relion = folder / "relion"
    common = ["--mask", f"{folder}/mask.mrc", "--particle-diameter", "290", "--j", "1"]
    given = ["--p", f"{folder}/particles.star", "--t", f"{folder}/tomograms.star"]
    aligned = ["--p", f"{relion}/align/particles.star", "--t", f"{relion}/align/tomograms.star", "--mot", f"{relion}/align/motion.star"]
    before, after = (["--ref1", f"{maps}/half1.mrc", "--ref2", f"{maps}/half2.mrc"] for maps in (relion, relion / "after_align"))
    return {
        "align with motion": ["align", *given, *before, *common, "--motion"],
        "refine-ctf": ["refine-ctf", *aligned, *after, *common, "--do-defocus", "--do-scale", "--per-frame-scale"],
    }


def whole_process(words: list[str]) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak memory (MB) of one command, imports and compilation cache included."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tomobayes", *words, "--o", str(Path(folder, "job"))]
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
    if status != 0:
        raise SystemExit(f"{' '.join(words)} failed")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
