"""XML files survive reading and writing to the byte, and change only where they are told to."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomobayes.formats.xml_document import document_from_text, inserted, read_xml, with_attribute, with_text
from tomobayes.model import BadInput

ODD = '<?xml version=\'1.0\'?>\r\n<!-- kept -->\r\n<A  b = \'x > "y"\'\tc="1"><B/><C >1\n2 </C><?p?><B x="&lt;&#10;"></B></A>\r\n\r\n'


@pytest.mark.parametrize(("bom", "encoding"), [(b"", "utf-8"), (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le")])
def test_what_is_not_changed_stays_to_the_byte(tmp_path: Path, bom: bytes, encoding: str) -> None:
    """Byte order mark, encoding, line ends, comments, quotes and blanks."""
    given_file, written = tmp_path / "given.xml", tmp_path / "written.xml"
    given_file.write_bytes(bom + ODD.encode(encoding))
    read_xml(given_file).write(written)
    assert written.read_bytes() == given_file.read_bytes()


def test_real_files_stay_to_the_byte(shared: Path, tmp_path: Path) -> None:
    """Warp 1 (UTF-16, two kinds of line ends), WarpTools and M."""
    files = sorted((shared / "data/geometry").rglob("*.xml"))
    assert len(files) >= 6
    for file in files:
        read_xml(file).write(tmp_path / "written.xml")
        assert (tmp_path / "written.xml").read_bytes() == file.read_bytes(), file


def test_an_edit_changes_its_own_place_only() -> None:
    document = document_from_text(ODD)
    c = document.root.find("C")
    assert c is not None
    edited = document.edited(
        [with_text(document, c, "3 < 4"), with_attribute(document, document.root, {"c": "2", "d": '"'}), inserted(document.root, "<D/>")]
    )
    expected = ODD.replace('c="1"', 'c="2" d=\'"\'').replace("<C >1\n2 </C>", "<C>3 &lt; 4</C>").replace("</A>", "<D/></A>")
    assert edited.data.decode() == expected


@given(st.dictionaries(st.sampled_from("abcde"), st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF)), min_size=1))
def test_attributes_mean_what_was_set(values: dict[str, str]) -> None:
    document = document_from_text("<A b='1' c=\"2\"/>")
    attributes = document.edited([with_attribute(document, document.root, values)]).root.attributes
    assert attributes == {"b": "1", "c": "2"} | values


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("<A><B></A>", "not well-formed"),
        ("", "not well-formed"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "document type"),
        ("<a>" * 10**5, "nested more than"),
    ],
)
def test_hostile_files_are_refused(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "bad.xml").write_text(text)
    with pytest.raises(BadInput, match=what):
        read_xml(tmp_path / "bad.xml")


def test_text_in_no_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.xml").write_bytes(b"<a>\xff\xfe</a>")
    with pytest.raises(BadInput, match="not text"):
        read_xml(tmp_path / "bad.xml")
    with pytest.raises(BadInput, match="not there"):
        read_xml(tmp_path / "none.xml")
