"""``report``: a project on one page."""

from __future__ import annotations

import re
from pathlib import Path

from tomobayes.cli import main
from tomobayes.report import theme_script

SPHERE = ["mask", "--sphere-diameter", "60", "--box", "24", "--angpix", "4"]


def test_one_page_of_all_jobs_that_needs_no_other_file(project: Path, capsys):
    assert main(SPHERE) == 0
    assert main(["mask", "--i", "MaskCreate/job001/mask.mrc", "--lowpass", "0"]) == 0
    (project / "MaskCreate" / "job001" / "report.json").unlink()
    assert main(["report", str(project)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(project / "report.html")
    page = (project / "report.html").read_text()
    assert 'id="MaskCreate/job001"' in page and 'href="#MaskCreate/job001"' in page
    assert "tomobayes mask --i MaskCreate/job001/mask.mrc" in page and "Inside the mask" in page
    assert page.count("data:image/png") == 3 and page.count('class="edge"') == 1
    assert 'src="' not in page.replace('src="data:', "") and page.count("<script") == page.count(theme_script()) == 1
    assert re.findall(r'<link[^>]*href="(?!data:)', page) == []


def test_the_file_can_be_named_and_a_folder_without_jobs_is_refused(project: Path, capsys):
    assert main(SPHERE) == 0
    assert main(["report", "--project", ".", "--o", "out/page.html"]) == 0
    assert (project / "out" / "page.html").is_file()
    for folder in ("out", "nowhere"):
        assert main(["report", folder]) == 2
        assert "no jobs" in capsys.readouterr().err
