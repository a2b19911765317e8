"""The outside of the program: words in, exit code, last line and sentences out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tomobayes as tb
from tomobayes.cli import main
from tomobayes.jobs.parameters.base import JobParameters
from tomobayes.jobs.verbs import VERBS
from tomobayes.project import Ending, ending, read_record

SPHERE = ["mask", "--sphere_diameter", "40", "--box", "24", "--angpix", "4"]


def errors(capsys) -> list[str]:
    return [line.removeprefix("tomobayes: ") for line in capsys.readouterr().err.splitlines()]


def test_last_line_is_the_folder(capsys):
    assert main(SPHERE) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "MaskCreate/job001"
    assert ending(Path("MaskCreate/job001")) is Ending.SUCCESS


def test_folder_holds_record_log_report_and_marker():
    main(SPHERE)
    names = {path.name for path in Path("MaskCreate/job001").iterdir()}
    assert {"job.toml", "run.log", "report.json", "report.html", "mask.mrc", "RELION_JOB_EXIT_SUCCESS", "RELION_OUTPUT_NODES.star"} <= names
    assert "tomobayes mask --sphere-diameter 40.0" in Path("MaskCreate/job001/run.log").read_text()


def test_recorded_command_asks_for_the_same():
    main(SPHERE)
    record = read_record(Path("MaskCreate/job001"))
    assert main(record.command.split()[1:]) == 0
    assert read_record(Path("MaskCreate/job002")).parameters == record.parameters


def test_python_is_the_command_line():
    assert tb.mask(tb.Mask(sphere_diameter=40, box=24, angpix=4)) == Path("MaskCreate/job001")
    main(SPHERE)
    assert read_record(Path("MaskCreate/job001")).parameters == read_record(Path("MaskCreate/job002")).parameters


def test_each_wrong_option_is_one_sentence(capsys, project):
    assert main(["mask", "--sphere-diameter", "-3", "--box", "2.5", "--angpix", "x"]) == 2
    assert sorted(errors(capsys)) == [
        "--angpix should be a valid number, not 'x'.",
        "--box should be a valid integer, not '2.5'.",
        "--sphere-diameter should be greater than 0, not '-3'.",
    ]
    assert not list(project.iterdir())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["mask"], "give either a map with --i or a sphere"),
        (["mask", "--bax", "3"], "Unknown option: --bax. Did you mean --box?"),
        (["masks"], 'Unknown command "masks". Did you mean "mask"?'),
        ([*SPHERE, "--continue"], "--continue needs to know which job"),
        ([*SPHERE, "--continue", "--o", "nowhere"], "nowhere: this folder has no job.toml"),
        (["mask", "--i", "none.mrc"], "none.mrc"),
        (["postprocess", "--i", "."], "holds no half-maps"),
        (["info"], "give an optimisation set"),
    ],
)
def test_bad_input_is_said_and_nothing_is_made(words, sentence, capsys, project):
    assert main(words) == 2
    assert any(sentence in line for line in errors(capsys))
    assert not list(project.iterdir())


def test_full_folder_is_refused_and_can_be_replaced(capsys):
    words = [*SPHERE, "--o", "here"]
    assert main(words) == 0
    Path("here/mask.mrc").unlink()
    assert main(words) == 2
    assert "the folder is not empty" in errors(capsys)[-1]
    assert not Path("here/mask.mrc").exists()
    assert main([*words, "--overwrite"]) == 0
    assert Path("here/mask.mrc").exists()


def test_continue_remembers_options_and_refuses_others(capsys):
    assert main([*SPHERE, "--o", "here"]) == 0
    Path("here/RELION_JOB_EXIT_SUCCESS").unlink()
    Path("here/mask.mrc").unlink()
    assert main(["mask", "--o", "here", "--continue", "--box", "32"]) == 2
    assert "--box: was 24 when this job began, not 32" in errors(capsys)[-1]
    assert main(["mask", "--o=here", "--continue"]) == 0
    assert Path("here/mask.mrc").exists()


def test_continuing_a_finished_job_changes_nothing(capsys):
    main([*SPHERE, "--o", "here"])
    before = Path("here/mask.mrc").stat().st_mtime_ns
    assert main(["mask", "--o", "here", "--continue"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "here"
    assert Path("here/mask.mrc").stat().st_mtime_ns == before


def test_failure_is_told_in_full_in_the_log(capsys, monkeypatch):
    import tomobayes.jobs.mask as job

    def fails(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(job, "_report", fails)
    assert main(SPHERE) == 1
    lines = errors(capsys)
    assert "failed: MemoryError: no room" in lines[-2]
    assert "MaskCreate/job001/run.log" in lines[-1]
    assert "Traceback" in Path("MaskCreate/job001/run.log").read_text()
    assert ending(Path("MaskCreate/job001")) is Ending.FAILURE


def test_interruption_is_marked(monkeypatch):
    import tomobayes.jobs.mask as job

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "_report", stopped)
    assert main(SPHERE) == 1
    assert ending(Path("MaskCreate/job001")) is Ending.ABORTED


HEAVY = ["torch", "numba", "scipy", "gemmi", "mrcfile", "PIL", "jinja2", "pandas"]


def test_help_loads_nothing_heavy():
    code = f"import sys; from tomobayes.cli import main; main(['--help']); assert not {{*{HEAVY}}} & {{*sys.modules}}"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert all(parameters.verb in result.stdout for parameters in VERBS)


@pytest.mark.parametrize("parameters", VERBS, ids=lambda parameters: parameters.verb)
def test_every_option_is_explained_and_every_switch_is_off_unless_given(parameters, capsys):
    assert main([parameters.verb, "--help"]) == 0
    shown = capsys.readouterr().out
    for name, field in parameters.model_fields.items():
        assert field.description and field.description.endswith("."), name
        assert parameters.option(name) in shown
        assert field.default is not True
    if issubclass(parameters, JobParameters):
        assert parameters.folder


def test_continue_remembers_options_that_are_named_like_verbs(halves):
    assert main([*SPHERE, "--o", "mask.mrc"]) == 0
    assert main(["postprocess", "--half1", "half1.mrc", "--half2", "half2.mrc", "--mask", "mask.mrc", "--o", "post"]) == 0
    assert main(["postprocess", "--o", "post", "--continue"]) == 0
