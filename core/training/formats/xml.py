"""XML from strangers: parsed without document types, entities or anything else that reaches beyond the file."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, TreeBuilder  # nosec B405: no parser of it is used
from xml.parsers import expat  # nosec B407: document types and entities are refused below

from ...job.errors import LabelError

MAX_BYTES = 64_000_000
MAX_DEPTH = 64


def parse_xml(path: Path) -> Element:
    """Parse an XML file of at most 64 MB; raises LabelError where it is damaged or declares a document type."""
    builder, parser, depth = TreeBuilder(), expat.ParserCreate(), 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise LabelError(f"'{path}' is nested too deeply for labels.")
        builder.start(name, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name)

    def refuse(*_: object) -> None:
        raise LabelError(f"'{path}' declares a document type or entities, which labels have no need of: not read.")

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = parser.ExternalEntityRefHandler = refuse
    try:
        if path.stat().st_size > MAX_BYTES:
            raise LabelError(f"'{path}' is too large for labels of one image.")
        parser.Parse(path.read_bytes(), True)
        return builder.close()
    except OSError as problem:
        raise LabelError(f"The labels '{path}' cannot be read: {problem.strerror}.") from problem
    except (expat.ExpatError, ParseError, AssertionError) as problem:
        raise LabelError(f"'{path}' is damaged: {problem}.") from problem
