"""Whatever happens to a job, its folder, its marker and the project's list tell the same story."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tomobayes.formats.star import read_star
from tomobayes.model import BadInput, Problem
from tomobayes.project import Ending, JobFolder, Mode, ending, is_locked, new_record, occupy, read_record

RECORD = new_record("mask", {"i": "map.mrc", "extend": 3.5, "names": ["a", 'b"\\'], "sphere": True}, "tomobayes mask --i map.mrc")


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def processes() -> dict[str, str]:
    columns = read_star("default_pipeline.star")["pipeline_processes"].columns
    return dict(zip(columns["rlnPipeLineProcessName"].tolist(), columns["rlnPipeLineProcessStatusLabel"].tolist(), strict=True))


def run(kind="MaskCreate", out=None, mode=Mode.NEW, error: BaseException | None = None, inputs=()) -> JobFolder:
    with occupy(kind, out, mode, RECORD, inputs) as folder:
        (folder.path / "mask.mrc").write_text("x")
        folder.outputs.append(folder.path / "mask.mrc")
        if error is not None:
            raise error
    return folder


def test_record_comes_back():
    folder = run()
    assert read_record(folder.path) == RECORD


def test_numbers_count_over_all_types():
    assert [str(run(kind).path) for kind in ("Import", "MaskCreate", "Import")] == ["Import/job001", "MaskCreate/job002", "Import/job003"]


def test_numbers_go_on_after_relions_own_jobs(project):
    (project / "Refine3D/job041").mkdir(parents=True)
    assert run().path == Path("MaskCreate/job042")


def test_explicit_folder_needs_no_project(project):
    run(out=project / "here")
    assert not (project / "default_pipeline.star").exists()
    assert ending(project / "here") is Ending.SUCCESS


@pytest.mark.parametrize(
    ("error", "how", "status"),
    [
        (None, Ending.SUCCESS, "Succeeded"),
        (RuntimeError("no"), Ending.FAILURE, "Failed"),
        (KeyboardInterrupt(), Ending.ABORTED, "Aborted"),
    ],
)
def test_marker_and_list_agree(error, how, status):
    if error is None:
        run()
    else:
        with pytest.raises(type(error)):
            run(error=error)
    assert ending(Path("MaskCreate/job001")) is how
    assert processes() == {"MaskCreate/job001/": status}


def test_a_second_ending_takes_the_place_of_the_first(project):
    with pytest.raises(RuntimeError):
        run(out=project / "here", error=RuntimeError())
    run(out=project / "here", mode=Mode.CONTINUE)
    assert [path.name for path in (project / "here").glob("RELION_JOB_EXIT_*")] == [Ending.SUCCESS.value]


def test_bad_input_leaves_nothing(project):
    run("Import")
    with pytest.raises(BadInput):
        run(error=BadInput(Problem("map.mrc", "", "is empty")))
    assert not list((project / "MaskCreate").iterdir())
    assert processes() == {"Import/job001/": "Succeeded"}


def test_nodes_and_edges_tie_jobs_together(project):
    first = run()
    run("Refine3D", inputs=[first.path / "mask.mrc"])
    tables = read_star("default_pipeline.star")
    nodes = tables["pipeline_nodes"].columns
    assert (nodes["rlnPipeLineNodeName"][0], nodes["rlnPipeLineNodeTypeLabel"][0]) == ("MaskCreate/job001/mask.mrc", "Mask3D.mrc")
    assert tables["pipeline_input_edges"].columns["rlnPipeLineEdgeProcess"].tolist() == ["Refine3D/job002/"]
    assert len(tables["pipeline_output_edges"]) == 2
    output = read_star(first.path / "RELION_OUTPUT_NODES.star")["output_nodes"].columns
    assert output["rlnPipeLineNodeName"].tolist() == ["MaskCreate/job001/mask.mrc"]


RELIONS = """
data_pipeline_general
_rlnPipeLineJobCounter                       8

data_pipeline_processes
loop_
_rlnPipeLineProcessName #1
_rlnPipeLineProcessAlias #2
_rlnPipeLineProcessTypeLabel #3
_rlnPipeLineProcessStatusLabel #4
Denoise/job007/ Denoise/train/ relion.denoisetomo  Succeeded

data_pipeline_nodes
loop_
_rlnPipeLineNodeName #1
_rlnPipeLineNodeTypeLabel #2
_rlnPipeLineNodeTypeLabelDepth #3
Denoise/job007/tomograms.star TomogramGroupMetadata.star.relion.tomo.denoise            2
"""


def test_relions_rows_are_kept(project):
    (project / "default_pipeline.star").write_text(RELIONS)
    assert run(inputs=[Path("Denoise/job007/tomograms.star")]).path == Path("MaskCreate/job008")
    tables = read_star("default_pipeline.star")
    assert tables["pipeline_general"].columns["rlnPipeLineJobCounter"][0] == "9"
    assert tables["pipeline_processes"].columns["rlnPipeLineProcessAlias"].tolist() == ["Denoise/train/", "None"]
    assert tables["pipeline_nodes"].columns["rlnPipeLineNodeTypeLabelDepth"].tolist() == ["2", "1"]
    assert tables["pipeline_nodes"].columns["rlnPipeLineNodeTypeLabel"][0].endswith("tomo.denoise")


def test_full_folder_is_refused_untouched(project):
    (project / "here").mkdir()
    (project / "here/precious").write_text("x")
    for mode, message in [(Mode.NEW, "not empty"), (Mode.OVERWRITE, "something else"), (Mode.CONTINUE, "no job was started")]:
        with pytest.raises(BadInput, match=message):
            run(out=project / "here", mode=mode)
    assert [path.name for path in (project / "here").iterdir()] == ["precious"]


def test_overwrite_replaces_a_job(project):
    with pytest.raises(RuntimeError):
        run(out=project / "here", error=RuntimeError())
    (project / "here/old").mkdir()
    run(out=project / "here", mode=Mode.OVERWRITE)
    assert not (project / "here/old").exists()
    assert ending(project / "here") is Ending.SUCCESS


def test_continue_keeps_files_but_not_unfinished_ones(project):
    with pytest.raises(KeyboardInterrupt):
        run(out=project / "here", error=KeyboardInterrupt())
    (project / "here/.map.mrc.x1.part").touch()
    with occupy("MaskCreate", project / "here", Mode.CONTINUE, RECORD) as folder:
        assert sorted(path.name for path in folder.path.glob("*.mrc")) == ["mask.mrc"]
        assert not list(folder.path.glob(".*.part"))
        assert ending(folder.path) is None


def test_folder_made_by_relions_gui_counts_as_empty(project):
    (project / "External/job005").mkdir(parents=True)
    for name in ("job.star", "run.out", "note.txt"):
        (project / "External/job005" / name).touch()
    run(out=Path("External/job005"))
    assert (project / "External/job005/job.star").exists()


HOLD = """
import sys, time
from pathlib import Path
from tomobayes.project import Mode, new_record, occupy
with occupy("MaskCreate", Path(sys.argv[1]), Mode.NEW, new_record("mask", {}, "")) as folder:
    print("held", flush=True)
    time.sleep(60)
"""


def test_folder_of_a_living_process_is_refused_and_of_a_killed_one_is_free(project):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, "here"], stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        assert is_locked(project / "here")
        with pytest.raises(BadInput, match=rf"process {holder.pid} on .* is working in this folder"):
            run(out=project / "here", mode=Mode.CONTINUE)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    deadline = time.monotonic() + 5
    while is_locked(project / "here") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ending(project / "here") is None
    run(out=project / "here", mode=Mode.CONTINUE)
    assert ending(project / "here") is Ending.SUCCESS


def test_older_pipeline_is_refused_by_column(project):
    (project / "default_pipeline.star").write_text(RELIONS.replace("_rlnPipeLineProcessTypeLabel", "_rlnPipeLineProcessType"))
    with pytest.raises(
        BadInput, match=re.escape("default_pipeline.star, table pipeline_processes, column rlnPipeLineProcessTypeLabel: is missing")
    ):
        run()
    assert not (project / ".relion_lock").exists()
