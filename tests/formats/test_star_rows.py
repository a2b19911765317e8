"""What is done for thousands of rows at a time gives what single rows would give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomobayes.formats import decimals, star_lines, star_rows, star_text
from tomobayes.formats.decimals import as_floats
from tomobayes.formats.star_lines import scan_lines
from tomobayes.formats.star_text import quoted, rows_as_text
from tomobayes.model import BadInput

WORDS = st.sampled_from(
    ["1", "-2.5", "TS_01", "a", "_b", "data_", "Data_x", "loop_", "LOOP_", "loop_s", "#", "x#y", "'a b'", '"', "ü", "[1,2]"]
)
BLANKS = st.sampled_from([" ", "  ", "\t", " \t ", "\x0b", "\x1c"])
ENDS = st.sampled_from(["\n", " \n", "\n\n", "\n \n", "\n\t\n", ""])
LINES = st.lists(st.tuples(st.lists(st.tuples(WORDS, BLANKS), max_size=3), ENDS), max_size=8)
HEADS = st.sampled_from(
    ["data_a\nloop_\n_rlnA\n_rlnB #2\n", "data_a\nloop_\n_rlnA\n", "data_a\n_rlnA 1\n\ndata_b\nloop_\n_rlnA\n_rlnB\n1 2\n"]
)


def scanned(text: str) -> object:
    """Everything that was read, or everything that is wrong."""
    try:
        return [
            (name, {label: cells.tolist() for label, cells in columns.items()}, is_list)
            for name, columns, is_list in scan_lines(text, Path("x"))
        ]
    except BadInput as error:
        return error.problems


@given(HEADS, LINES)
def test_all_rows_at_once_are_read_as_one_by_one(head: str, lines: list[tuple[list[tuple[str, str]], str]]) -> None:
    text = head + "".join("".join(word + blank for word, blank in words) + end for words, end in lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(star_rows, "CHUNK", 12)
        at_once = scanned(text)
        patch.setattr(star_lines, "plain_rows", lambda *_: None)
        assert scanned(text) == at_once


def test_plain_rows_are_taken_at_once() -> None:
    rows = star_rows.plain_rows("head\n a 1 \nb\t2.5\n \ndata_b", 5, 2)
    assert rows is not None and [column.tolist() for column in rows.columns] == [["a", "b"], ["1", "2.5"]] and rows.end == 17


@pytest.mark.parametrize(
    "text", ["1 2\n3\n4 5 6\n", "1 2\n3 4 5 6\n\t\n", "1 2\ndata_ x\n", "1 2\nLoop_ x\n", "1 2 # 3", "1 'x'", "1 ü", "1 2\n\v\n"]
)
def test_other_rows_are_left_to_the_reader_of_lines(text: str) -> None:
    assert star_rows.plain_rows(text, 0, 2) is None


CELLS = st.lists(
    st.one_of(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=4), st.sampled_from(["a" * 50, "data_x", "", "1.5"])),
    min_size=3,
    max_size=3,
)


@given(st.lists(CELLS, min_size=1, max_size=4))
def test_rows_are_written_at_once_as_one_by_one(columns: list[list[str]]) -> None:
    texts = [[quoted(cell) for cell in column] for column in columns]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(star_text, "ROWS", 2)
        written = b"".join(rows_as_text([np.array(column, dtype=np.str_) for column in columns])).decode()
    assert [line.split() for line in written.split("\n")[:-1]] == [" ".join(row).split() for row in zip(*texts, strict=True)]
    if written.isascii():
        widths = [min(max(map(len, column)), star_text.MAX_WIDTH) for column in texts]
        assert written == "".join(
            " ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + " \n" for row in zip(*texts, strict=True)
        )


NUMBERS = st.one_of(
    st.from_regex(r"[-+]?[0-9]{0,17}(\.[0-9]{0,17})?(e[-+]?[0-9]{1,2})?", fullmatch=True), st.floats().map(repr), st.just("x")
)


@given(st.lists(NUMBERS, min_size=1, max_size=9))
def test_numbers_are_read_at_once_to_the_last_bit(cells: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decimals, "FEW", 0)
        patch.setattr(decimals, "ROWS", 4)
        try:
            expected = np.array([float(cell) for cell in cells])
        except ValueError:
            with pytest.raises(ValueError, match="could not convert"):
                as_floats(np.array(cells))
            return
        assert as_floats(np.array(cells)).tobytes() == expected.tobytes()
