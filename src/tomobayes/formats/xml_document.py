"""XML files that are read, changed in places and written again: whatever is not changed stays as it was, to the byte."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat
from xml.sax.saxutils import escape
from xml.sax.saxutils import quoteattr as quoted

from tomobayes.formats.atomic import atomic_path
from tomobayes.model import BadInput, Problem

__all__ = [
    "Edit",
    "Element",
    "XmlDocument",
    "document_from_text",
    "escape",
    "inserted",
    "quoted",
    "read_xml",
    "with_attribute",
    "with_text",
]

START_TAG = re.compile(rb"""<[^<>"']*(?:"[^"]*"|'[^']*'|[^<>"'])*>""")
BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
MAX_DEPTH = 100


@dataclass
class Element:
    """One element and where it stands in the document's bytes: its tag from ``start``, its closing tag (if it has one) from ``close``."""

    tag: str
    attributes: Mapping[str, str]
    start: int
    close: int = 0
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def find(self, tag: str) -> Element | None:
        """The first element of that name at any depth, or None."""
        return next((one for one in self.walk() if one.tag == tag), None)

    def walk(self) -> Iterator[Element]:
        """All elements below this one, in the order of the file."""
        waiting = self.children[::-1]
        while waiting:
            element = waiting.pop()
            yield element
            waiting.extend(element.children[::-1])

    def opening(self, data: bytes) -> tuple[int, int]:
        """Where its opening (or only) tag stands."""
        match = START_TAG.match(data, self.start)
        assert match is not None, "expat takes no start tag that this does not match"
        return match.span()

    def whole(self, data: bytes) -> tuple[int, int]:
        """Where all of it stands."""
        return self.start, self.opening(data)[1] if self.close == self.start else data.index(b">", self.close) + 1


@dataclass(frozen=True)
class Edit:
    """Bytes ``start`` to ``end`` of a document give way to ``replacement``."""

    start: int
    end: int
    replacement: str


@dataclass(frozen=True)
class XmlDocument:
    """The text of an XML file (UTF-8) with its tree of elements, and the byte order mark and encoding it had on disk."""

    data: bytes
    root: Element
    encoding: str = "utf-8"
    bom: bytes = b""

    def edited(self, edits: Sequence[Edit]) -> XmlDocument:
        """The document with some places changed; edits must not overlap."""
        data = self.data
        for edit in sorted(edits, key=lambda edit: (edit.start, edit.end), reverse=True):
            data = data[: edit.start] + edit.replacement.encode() + data[edit.end :]
        return XmlDocument(data, _parse(data, Path()), self.encoding, self.bom)

    def write(self, path: Path | str) -> None:
        """Write in the encoding it was read in; the file is complete or not there."""
        with atomic_path(Path(path)) as temporary:
            temporary.write_bytes(self.bom + self.data.decode().encode(self.encoding))


def read_xml(path: Path | str) -> XmlDocument:
    """Read an XML file in UTF-8 or UTF-16.

    Raises
    ------
    BadInput
        file missing, not well-formed, nested beyond reason, or with a document type (which could name other files)
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        what = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise BadInput(Problem(path, "", what, remedy="check the name, the current folder and the permissions")) from error
    bom, encoding = next(((bom, name) for bom, name in BOMS if raw.startswith(bom)), (b"", "utf-8"))
    try:
        data = raw[len(bom) :].decode(encoding).encode()
    except UnicodeDecodeError as error:
        raise BadInput(Problem(path, "", f"is not text in {encoding}", remedy="copy or write the file again")) from error
    return XmlDocument(data, _parse(data, path), encoding, bom)


def document_from_text(text: str) -> XmlDocument:
    """A document of our own making."""
    return XmlDocument(text.encode(), _parse(text.encode(), Path()), bom=codecs.BOM_UTF8)


def with_text(document: XmlDocument, element: Element, text: str) -> Edit:
    """The edit that gives an element another text (and no children)."""
    return Edit(*element.whole(document.data), f"{_opening(element.tag, element.attributes)}{escape(text)}</{element.tag}>")


def with_attribute(document: XmlDocument, element: Element, values: Mapping[str, str]) -> Edit:
    """The edit that changes attributes of an element, or adds them; the others stay as they are written."""
    start, end = element.opening(document.data)
    tag = document.data[start:end].decode()
    for name, value in values.items():
        known = re.search(rf"""(?<=\s){re.escape(name)}\s*=\s*("[^"]*"|'[^']*')""", tag)
        cut = known.span() if known else (len(tag) - (2 if tag.endswith("/>") else 1),) * 2
        tag = f"{tag[: cut[0]]}{'' if known else ' '}{name}={quoted(value)}{tag[cut[1] :]}"
    return Edit(start, end, tag)


def inserted(parent: Element, text: str) -> Edit:
    """The edit that adds elements at the end of ``parent``, which must have a closing tag."""
    return Edit(parent.close, parent.close, text)


def _opening(tag: str, attributes: Mapping[str, str]) -> str:
    return f"<{tag}{''.join(f' {name}={quoted(value)}' for name, value in attributes.items())}>"


def _parse(data: bytes, path: Path) -> Element:
    """The tree, by one pass of expat without recursion."""
    builder = _Builder()
    try:
        builder.parser.Parse(data, True)
    except expat.ExpatError as error:
        remedy = "copy the file again, or let the program that made it write it again"
        raise BadInput(
            Problem(path, f"line {error.lineno}", f"is not well-formed XML ({expat.ErrorString(error.code)})", "", remedy)
        ) from error
    except _RefusedError as error:
        raise BadInput(
            Problem(path, f"line {builder.parser.CurrentLineNumber}", str(error), remedy="give a file as Warp writes it")
        ) from error
    return builder.root


class _RefusedError(Exception):
    """What is well-formed, but no file of this kind has."""


class _Builder:
    """Collects elements as expat meets them."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate("utf-8")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._open
        self.parser.EndElementHandler = self._close
        self.parser.CharacterDataHandler = self._characters
        self.parser.StartDoctypeDeclHandler = self._doctype
        self._stack: list[Element] = [Element("", {}, 0)]

    @property
    def root(self) -> Element:
        return self._stack[0].children[0]

    def _open(self, tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag, attributes, self.parser.CurrentByteIndex)
        self._stack[-1].children.append(element)
        self._stack.append(element)
        if len(self._stack) > MAX_DEPTH:
            raise _RefusedError(f"elements are nested more than {MAX_DEPTH} deep")

    def _close(self, tag: str) -> None:
        self._stack.pop().close = self.parser.CurrentByteIndex

    def _characters(self, text: str) -> None:
        if not self._stack[-1].children:
            self._stack[-1].text += text

    def _doctype(self, *_: object) -> None:
        raise _RefusedError("has a document type declaration")
