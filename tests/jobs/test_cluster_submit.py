"""``cluster-submit``: a site's template becomes a scheduler and workers that refine."""

from __future__ import annotations

from pathlib import Path

import pytest
from distributed import Client

from tomobayes.cli import main
from tomobayes.jobs.cluster_submit import filled
from tomobayes.model import BadInput

TEMPLATE = """#!/bin/sh
#SBATCH --job-name=XXXnameXXX --partition=XXXqueueXXX --account=XXXextra1XXX
#SBATCH --nodes=XXXnodesXXX --ntasks=XXXmpinodesXXX --cpus-per-task=XXXthreadsXXX
#SBATCH --output=XXXoutfileXXX --error=XXXerrfileXXX
XXXcommandXXX
"""
FAKE_SBATCH = """#!/bin/sh
name=$(basename $1 .sh)
nohup setsid sh $1 > submitted/$name.out 2> submitted/$name.err < /dev/null &
echo Submitted batch job $name
"""
REFINE = [
    "refine", "--i", "sim", "--ref", "sim/truth_class1.mrc", "--particle-diameter", "250", "--healpix-order", "0", "--max-iter", "1",
    "--offset-range", "32", "--ini-high", "70", "--j", "1",
]  # fmt: skip


@pytest.fixture
def words(project) -> list[str]:
    Path("template.sh").write_text(TEMPLATE)
    Path("sbatch").write_text(FAKE_SBATCH)
    Path("sbatch").chmod(0o755)
    Path("submitted").mkdir()
    return ["cluster-submit", "--template", "template.sh", "--workers", "1", "--queue", "gpu", "--qsub", "./sbatch", "--o", "cluster"]


def test_workers_of_a_batch_system_refine(words, tiny):
    assert main([*words, "--extra", "lab"]) == 0
    log = Path("cluster/run.log").read_text()
    assert "Submitted batch job scheduler" in log and "Submitted batch job worker_001" in log
    script = Path("cluster/worker_001.sh").read_text()
    assert "XXX" not in script and "--job-name=tomobayes_worker_001 --partition=gpu --account=lab" in script
    try:
        assert main([*REFINE, "--scheduler", "cluster/scheduler.json", "--o", "ref"]) == 0
        assert "1 workers of 1 threads" in Path("ref/run.log").read_text()
    finally:
        with Client(scheduler_file="cluster/scheduler.json") as client:
            client.shutdown()


def test_placeholders_without_a_value_are_named(words, capsys):
    assert main(words) == 2
    assert "nothing is known to put in the place of XXXextra1XXX" in capsys.readouterr().err
    assert not Path("cluster").exists()


def test_a_script_without_a_command_is_refused(words, capsys):
    Path("template.sh").write_text("#!/bin/sh\n")
    assert main([*words, "--extra", "lab"]) == 2
    assert "XXXcommandXXX" in capsys.readouterr().err


def test_placeholders_are_replaced_wherever_they_are():
    assert filled("a XXXaXXX-XXXbXXXXXXaXXX", {"a": "1", "b": "2"}) == "a 1-21"
    with pytest.raises(BadInput, match="XXXcXXX"):
        filled("XXXcXXX", {"a": "1"})


def test_a_scheduler_that_is_not_there(tiny, capsys, monkeypatch):
    monkeypatch.setattr("tomobayes.compute.workers.CONNECTION_S", 1)
    assert main([*REFINE, "--scheduler", "tcp://127.0.0.1:9", "--o", "ref"]) == 2
    assert "--scheduler: no workers to be had at tcp://127.0.0.1:9" in capsys.readouterr().err
    assert not Path("ref").exists()
