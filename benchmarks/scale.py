"""How cost grows with particles, tilts and box, how memory agrees with the plan, and what a second worker brings.

Run as ``python benchmarks/scale.py`` on a machine that has nothing else to do (about ten minutes); sets are simulated for it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "validation"))

from scaling import command, iteration_seconds, iterations_wall_seconds, planned_bytes, simulated

LOCAL = ["--particle-diameter", 270, "--sigma-ang", 3, "--offset-range", 10, "--max-iter", 2]


def main() -> None:
    """Print a table of each."""
    print("CPU seconds of one local iteration, one thread, images at hand")
    with experiment(24, 11, 8, 128) as folder:
        iteration_seconds(folder, 24, 16)
        for count in (64, 128, 256, 512, 1024):
            taken = iteration_seconds(folder, 24, count)
            print(f"box  24, 11 tilts, {count:5} particles {taken:8.2f} s, {1e3 * taken / count:6.1f} ms each")
    for box, tilts in ((48, 11), (48, 21), (48, 41), (72, 11), (96, 11)):
        with experiment(box, tilts, 1, 32) as folder:
            taken = iteration_seconds(folder, box)
            print(f"box {box:3}, {tilts} tilts,    32 particles {taken:8.2f} s, {1e3 * taken / 32:6.1f} ms each")
    print("\nPeak memory and plan of a local refinement")
    for box, threads in ((24, 1), (48, 1), (48, 2), (96, 1), (96, 2)):
        with experiment(box, 21, 2, 8) as folder:
            peak, _, log = command("refine", "--i", folder, "--box", box, *LOCAL, "--j", threads, folder=folder / "job")
            print(f"box {box:3}, {threads} threads {peak / 1e6:8.0f} MB of {planned_bytes(log) / 1e6:.0f} planned")
    print("\nTwo iterations of 256 particles, box 48, 41 tilts; workers of one thread")
    with experiment(48, 41, 4, 64) as folder:
        for workers in (0, 1, 2):
            words = ["--workers", workers] if workers else []
            _, _, log = command("refine", "--i", folder, "--box", 48, *LOCAL, "--j", 1, *words, folder=folder / f"job{workers}")
            print(f"{workers or 'no'} workers {iterations_wall_seconds(log):8.1f} s")


@contextmanager
def experiment(box: int, tilts: int, series: int, particles: int) -> Iterator[Path]:
    """A simulated set that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        yield simulated(Path(folder, "set"), box, tilts, series, particles)


if __name__ == "__main__":
    main()
