"""Conditions on columns, as users write them."""

import numpy as np
import pytest

from tomobayes.particles.conditions import parse_condition

COLUMNS = {"rlnA": np.array(["1.0", "-2", "3e2"]), "rlnName": np.array(["TS_01", "TS_12", "other"])}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rlnA>0", [1, 0, 1]),
        ("rlnA >= 300", [0, 0, 1]),
        ("_rlnA<=-2", [0, 1, 0]),
        ("rlnA<1", [0, 1, 0]),
        ("rlnA=1", [1, 0, 0]),
        ("rlnA==300", [0, 0, 1]),
        ("rlnA!=1", [0, 1, 1]),
        ("rlnName=TS_01", [1, 0, 0]),
        ("rlnName!=TS_01", [0, 1, 1]),
        ("rlnName~TS_*2", [0, 1, 0]),
        ("rlnName!~TS_?1", [0, 1, 1]),
        ("rlnName=1", [0, 0, 0]),
    ],
)
def test_conditions_hold_where_they_should(text, expected):
    assert parse_condition(text).holds(COLUMNS).tolist() == [bool(value) for value in expected]


@pytest.mark.parametrize(("text", "said"), [("rlnB>1", "no column rlnB"), ("rlnName>1", "not numbers"), ("rlnA>x", "'x' is")])
def test_what_makes_no_sense_is_said(text, said):
    with pytest.raises(ValueError, match=said):
        parse_condition(text).holds(COLUMNS)


@pytest.mark.parametrize("text", ["rlnA", "rlnA >", "> 3", "rln A > 3"])
def test_other_text_is_no_condition(text):
    with pytest.raises(ValueError, match="not a condition"):
        parse_condition(text)
