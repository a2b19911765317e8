"""``refine`` on other processes: the same bytes; and tilt series that cannot be worked on, wherever that turns out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tomobayes.cli import main
from tomobayes.formats.relion import read_dataset
from tomobayes.formats.star import read_star
from tomobayes.imaging import gathering

WORDS = [
    "refine", "--i", "sim", "--ref", "sim/truth_class1.mrc", "--particle-diameter", "250", "--healpix-order", "1", "--max-iter", "2",
    "--offset-range", "32", "--ini-high", "70", "--j", "1",
]  # fmt: skip


def test_workers_give_the_same_bytes(tiny):
    assert main([*WORDS, "--o", "alone"]) == 0
    assert main([*WORDS, "--workers", "2", "--o", "together"]) == 0
    for name in ("run_half1_class001_unfil.mrc", "run_half2_class001_unfil.mrc", "run_class001.mrc"):
        assert Path("alone", name).read_bytes()[1024:] == Path("together", name).read_bytes()[1024:], name
    assert "2 workers of 1 threads" in Path("together/run.log").read_text()
    assert not list(Path("together/checkpoints").glob("shared*"))


@pytest.fixture
def broken_disk(monkeypatch):
    """Images of the second tilt series cannot be read any more after they were read a few times."""
    whole, reads = gathering.gather, []

    def gather(dataset, particles, *rest):
        if dataset.particles.tilt_series[particles[0]] == 1:
            reads.append(1)
            if len(reads) > 2:
                raise OSError(5, "Input/output error", "TS_02.mrcs")
        return whole(dataset, particles, *rest)

    monkeypatch.setattr(gathering, "gather", gather)


def test_a_tilt_series_that_keeps_failing_is_named_and_set_aside(tiny, broken_disk):
    assert main([*WORDS, "--cache", "0", "--o", "ref"]) == 0
    before, after = read_dataset("sim").particles, read_dataset("ref").particles
    lost = before.tilt_series == 1
    np.testing.assert_allclose(after.rotation[lost], before.rotation[lost], atol=1e-6)
    np.testing.assert_allclose(after.centre_angstrom[lost], before.centre_angstrom[lost], atol=1e-3)
    assert (np.abs(after.rotation[~lost] - before.rotation[~lost]).max((1, 2)) > 0.01).all()
    assert (read_star(Path("ref/run_data.star"))["particles"].columns["rlnNrOfSignificantSamples"][lost] == "0").all()
    sentence = "tilt series TS_02 failed three times and is set aside: OSError: [Errno 5] Input/output error: 'TS_02.mrcs'"
    assert Path("ref/run.log").read_text().count(sentence) == 1
    assert "TS_02" in Path("ref/report.html").read_text() and "set aside" in Path("ref/report.html").read_text()


def test_nothing_left_is_a_failure_that_says_why(tiny, monkeypatch, capsys):
    def gather(*_):
        raise OSError(5, "Input/output error", "TS.mrcs")

    monkeypatch.setattr(gathering, "gather", gather)
    assert main([*WORDS, "--o", "ref"]) == 1
    assert "no particle of a half-set could be worked on (OSError: [Errno 5]" in capsys.readouterr().err
    assert Path("ref/RELION_JOB_EXIT_FAILURE").exists()
