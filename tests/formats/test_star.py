"""STAR files: what is read is what stands there, and a faulty file is named by its line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import starfile
from gemmi import cif

from tomobayes.formats.star import Table, read_star, write_star
from tomobayes.formats.star_values import TableReader
from tomobayes.model import BadInput


def write(path: Path, text: str, newline: str = "\n") -> Path:
    path.write_bytes(text.replace("\n", newline).encode())
    return path


TEXT = """
# version 50001

data_

_rlnTomoParticlesFile   "with space.star"
_rlnEmpty ""

# version 50001
data_TS/1

loop_
_rlnTomoName #1
_rlnVector #2
_rlnText
0001 [1,0,1] 'it''s'
x [] ""
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_reads_lists_loops_quotes_vectors_and_line_ends(tmp_path: Path, newline: str) -> None:
    tables = read_star(write(tmp_path / "a.star", TEXT.replace("'it''s'", '"it is"'), newline))
    assert list(tables) == ["", "TS/1"]
    assert tables[""].is_list and not tables["TS/1"].is_list
    assert tables[""].columns["rlnTomoParticlesFile"].tolist() == ["with space.star"]
    assert tables[""].columns["rlnEmpty"].tolist() == [""]
    loop = {label: cells.tolist() for label, cells in tables["TS/1"].columns.items()}
    assert loop == {"rlnTomoName": ["0001", "x"], "rlnVector": ["[1,0,1]", "[]"], "rlnText": ["it is", ""]}


def test_values_that_begin_with_an_underscore(tmp_path: Path) -> None:
    path = write(tmp_path / "a.star", "data_a\nloop_\n_rlnA\n_rlnB\n_x 1\n2 _y\n")
    assert read_star(path)["a"].columns["rlnA"].tolist() == ["_x", "2"]


def test_agrees_with_a_cif_grammar_on_every_file(shared: Path) -> None:
    for path in sorted((shared / "data").glob("[ers]*/**/*.star")):
        tables = list(read_star(path).values())
        if path.name == "job.star":
            continue  # RELION writes values there that the grammar refuses
        for table, block in zip(tables, cif.read_string(path.read_text()), strict=True):
            assert table.name == block.name.strip(), path
            for label, cells in table.columns.items():
                assert [cif.as_string(cell) for cell in block.find_values("_" + label)] == cells.tolist(), (path, label)


@pytest.mark.parametrize("name", ["empiar10164/Polish/job070/particles.star", "empiar10164/Polish/job070/tilt_series/TS_01.star"])
def test_agrees_with_the_starfile_package(shared: Path, name: str) -> None:
    path = shared / "data" / name
    tables = read_star(path)
    oracle = starfile.read(path, always_dict=True)
    assert set(oracle) == set(tables)
    for block, frame in oracle.items():
        for label in frame:
            expected = np.atleast_1d(frame[label])
            found = tables[block].columns[label]
            if expected.dtype.kind in "if":
                np.testing.assert_allclose(found.astype(float), expected.astype(float))
            else:
                assert found.tolist() == expected.tolist()


def test_writing_and_reading_gives_the_same_tables(tmp_path: Path) -> None:
    cells = ["a", "", "b c", "_d", "#e", "it's", 'say "x y"', "loop_", "data_x", "[1,2]", "-0.5", "ü", ";", "$f"]
    tables = [
        Table("", {"rlnA": np.array(["1"]), "rlnB": np.array(["x y"])}, is_list=True),
        Table("TS/1", {"rlnA": np.array(cells), "rlnB": np.array(cells[::-1])}),
        Table("none", {"rlnA": np.array([], dtype=str)}),
    ]
    write_star(tmp_path / "a.star", tables)
    found = read_star(tmp_path / "a.star")
    assert list(found) == ["", "TS/1", "none"]
    for table in tables:
        assert found[table.name].is_list == table.is_list
        assert {k: v.tolist() for k, v in found[table.name].columns.items()} == {k: v.tolist() for k, v in table.columns.items()}


def test_the_starfile_package_reads_what_is_written(tmp_path: Path) -> None:
    cells = ["0001", "b c", "[1,2]", "-0.5"]
    write_star(tmp_path / "a.star", [Table("TS/1", {"rlnA": np.array(cells), "rlnB": np.array(["1"] * 4)})])
    oracle = starfile.read(tmp_path / "a.star", parse_as_string=["rlnA"])
    assert oracle["rlnA"].tolist() == cells


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.star"
    write_star(path, [Table("a", {"rlnA": np.array(["1"])})])
    before = path.read_text()
    with pytest.raises(ValueError, match="shorter"):
        write_star(path, [Table("a", {"rlnA": np.array(["1", "2"]), "rlnB": np.array(["1"])})])
    assert path.read_text() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("data_a\nloop_\n_rlnA\n_rlnB\n1 2\n3\n", 6, "row 2 of data_a has 1 values for 2 columns"),
        ("data_a\nloop_\n_rlnA\n_rlnB\n1\n2 3 4\n", 5, "row 1 of data_a has 1 values for 2 columns"),
        ("data_a\nloop_\n_rlnA\n_rlnA\n1 2\n", 4, "repeats the column rlnA"),
        ("data_a\n_rlnA 1\n_rlnA 2\n", 3, "repeats the column rlnA"),
        ("data_a\n_rlnA 1\ndata_a\n_rlnA 2\n", 3, "repeats the table data_a of line 1"),
        ("data_a\n_rlnA\n", 2, "rlnA has 0 values instead of one"),
        ("data_a\n_rlnA one two\n", 2, "rlnA has 2 values instead of one"),
        ("_rlnA 1\n", 1, "stands before the first data_ block"),
        ("data_a\nstray\n", 2, "has no label"),
        ("data_a\n_rlnA 1\nloop_\n_rlnB\n1\n", 3, "starts a second table inside data_a"),
    ],
)
def test_a_faulty_file_is_named_by_line(tmp_path: Path, text: str, line: int, what: str) -> None:
    path = write(tmp_path / "a.star", text)
    with pytest.raises(BadInput) as caught:
        read_star(path)
    problem = caught.value.problems[0]
    assert (problem.file, problem.where) == (path, f"line {line}")
    assert what in problem.what and problem.remedy


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00data"])
def test_no_file_and_no_text(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.star"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput, match=r"a\.star: is not") as caught:
        read_star(path)
    assert caught.value.problems[0].remedy


def reader(*cells: str) -> TableReader:
    return TableReader(Path("a.star"), Table("particles", {"rlnA": np.array(cells)}))


@pytest.mark.parametrize("cell", ["1,5", "nan", "inf", "abc", ""])
def test_cells_that_are_no_numbers_are_named(cell: str) -> None:
    table = reader("1.5", cell, "2")
    np.testing.assert_array_equal(table.floats("rlnA"), [1.5, 0, 2])
    (problem,) = table.problems
    assert str(problem).startswith(f"a.star, table data_particles, row 2, column rlnA: {cell!r} is not a number. Write numbers")


def test_many_bad_cells_are_counted() -> None:
    table = reader(*["x"] * 9)
    table.floats("rlnA")
    assert len(table.problems) == 6 and "4 more cells" in str(table.problems[-1])


def test_whole_numbers_and_vectors() -> None:
    table = reader("1.000000", "2.5")
    assert table.integers("rlnA").tolist()[0] == 1
    assert "'2.5' is not a whole number" in str(table.problems[0])
    table = reader("[1,2.5]", "[]", "1,2", "[1,x]")
    assert [vector.tolist() for vector in table.vectors("rlnA")] == [[1, 2.5], [], [], []]
    assert [problem.where for problem in table.problems] == [f"table data_particles, row {row}, column rlnA" for row in (3, 4)]


def test_missing_columns_are_listed_at_once() -> None:
    table = reader("1")
    assert not table.require({"rlnA": "x", "rlnB": "extraction writes it", "rlnC": "import writes it"})
    assert str(table.problems[0]) == (
        "a.star, table data_particles: misses the columns rlnB, rlnC. Add them: extraction writes it; import writes it."
    )
