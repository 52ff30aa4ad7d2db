"""What a run did, recorded so that QGIS shows it among a layer's properties.

QGIS reads its own XML: from a row of a GeoPackage's metadata tables that names its document type, or from a `.qmd` file
beside other formats.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree  # nosec B405: writes, does not parse

STANDARD = "http://mrcc.com/qgis.dtd"
EXTENSION = "http://www.geopackage.org/spec120/#extension_metadata"
TABLES = f"""
CREATE TABLE IF NOT EXISTS gpkg_metadata (
    id INTEGER CONSTRAINT m_pk PRIMARY KEY ASC NOT NULL,
    md_scope TEXT NOT NULL DEFAULT 'dataset',
    md_standard_uri TEXT NOT NULL,
    mime_type TEXT NOT NULL DEFAULT 'text/xml',
    metadata TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS gpkg_metadata_reference (
    reference_scope TEXT NOT NULL,
    table_name TEXT,
    column_name TEXT,
    row_id_value INTEGER,
    timestamp DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
    md_file_id INTEGER NOT NULL,
    md_parent_id INTEGER,
    CONSTRAINT crmr_mfi_fk FOREIGN KEY (md_file_id) REFERENCES gpkg_metadata(id),
    CONSTRAINT crmr_mpi_fk FOREIGN KEY (md_parent_id) REFERENCES gpkg_metadata(id)
);
INSERT INTO gpkg_extensions VALUES ('gpkg_metadata', NULL, 'gpkg_metadata', '{EXTENSION}', 'read-write');
INSERT INTO gpkg_extensions VALUES ('gpkg_metadata_reference', NULL, 'gpkg_metadata', '{EXTENSION}', 'read-write');
"""  # nosec B608: fixed texts; GeoPackage 1.2, annex F.8


def layer_metadata(title: str, run: Mapping[str, Any]) -> str:
    """Describe a layer in QGIS's metadata XML: `run` readable as the abstract, and as JSON in the history."""
    root = ElementTree.Element("qgis", version="3.40")
    lines = ["Made by Tilehawk.", *(f"{key.replace('_', ' ')}: {_readable(value)}" for key, value in run.items())]
    for tag, text in (
        ("identifier", title),
        ("type", "dataset"),
        ("title", title),
        ("abstract", "\n".join(lines)),
        ("history", json.dumps(run, ensure_ascii=False, default=str)),
    ):
        ElementTree.SubElement(root, tag).text = re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\U0010ffff]", "?", text)
    document = f"<!DOCTYPE qgis PUBLIC '{STANDARD}' 'SYSTEM'>\n"
    ElementTree.indent(root)
    return document + ElementTree.tostring(root, encoding="unicode") + "\n"


def record_in_geopackage(path: Path, metadata: Mapping[str, str]) -> None:
    """Add each layer's metadata XML, by layer name, to a GeoPackage.

    Raises sqlite3.OperationalError where a layer lacks its spatial index: of a full disk that prevents it GDAL does
    not tell.
    """
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(TABLES)
        for table, text in metadata.items():
            database.execute(f"SELECT 1 FROM rtree_{table}_geom")  # nosec B608: a layer name of ours
            row = database.execute(
                "INSERT INTO gpkg_metadata (md_scope, md_standard_uri, metadata) VALUES ('dataset', ?, ?)",
                (STANDARD, text),
            )
            database.execute(
                "INSERT INTO gpkg_metadata_reference (reference_scope, table_name, md_file_id) VALUES ('table', ?, ?)",
                (table, row.lastrowid),
            )


def _readable(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_readable(item)}" for key, item in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return " ".join(_readable(item) for item in value) or "none"
    return "none" if value is None else str(value)
