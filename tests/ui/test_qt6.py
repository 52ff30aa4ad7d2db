"""The code is ready for Qt 6 and Python 3.9: found by reading it, as only Qt 5 may be at hand.

Qt 6 has no unscoped enums (`Qt.AlignLeft`), no `exec_`, and the bindings are reached through `qgis.PyQt` alone.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = [ROOT / "__init__.py", ROOT / "plugin.py", *sorted((ROOT / "ui").rglob("*.py"))]
BINDINGS = ("PyQt5", "PyQt6", "PySide2", "PySide6", "sip")
REMOVED = {"exec_", "desktop", "globalPos", "globalX", "globalY", "localPos", "tabStopWidth", "toTime_t"}
GONE = {"QRegExp", "QDesktopWidget", "QGLWidget", "QMatrix", "QTextCodec"}
MOVED = {"QAction", "QActionGroup", "QFileSystemModel", "QShortcut", "QUndoCommand", "QUndoStack"}  # to QtGui
CAMEL = re.compile(r"[A-Z][a-z]\w*")
QT_CLASS = re.compile(r"Q[A-Z]|Qgis$|Qt$|Qgs")


def problems(source: str) -> list[str]:
    """Find what Qt 6 does not have, as 'line: what'."""
    found = []
    tree = ast.parse(source)
    scopes = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    scopes |= {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for annotated in ast.walk(tree):
        for hint in (getattr(annotated, "annotation", None), getattr(annotated, "returns", None)):
            if hint is not None:
                scopes |= {id(node) for node in ast.walk(hint)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            module = getattr(node, "module", None) or ""
            names = [module] if module else [alias.name for alias in node.names]
            found += [f"{node.lineno}: imports {name}" for name in names if name.split(".")[0] in BINDINGS]
            away = GONE | (MOVED if module == "qgis.PyQt.QtWidgets" else set())
            found += [f"{node.lineno}: imports {each.name}" for each in node.names if each.name in away]
        if not isinstance(node, ast.Attribute):
            continue
        if node.attr in REMOVED:
            found.append(f"{node.lineno}: calls {node.attr}")
        owner = node.value
        unscoped = (
            isinstance(owner, ast.Name) and re.match(r"Q[A-Z]|Qgis$|Qt$|Qgs", owner.id) and id(node) not in scopes
        )
        if unscoped and CAMEL.fullmatch(node.attr):
            found.append(f"{node.lineno}: unscoped {owner.id}.{node.attr}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_qt6_lacks(path):
    assert problems(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_syntax_of_python_39(path):
    """No `match`, and hints with `|` are never evaluated."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 9))
    unions = [node for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)]
    if any("None" in ast.unparse(union) for union in unions):
        assert "from __future__ import annotations" in source


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("x = Qt.AlignLeft", 1),
        ("x = Qt.AlignmentFlag.AlignLeft", 0),
        ("f(QDialogButtonBox.Ok | QDialogButtonBox.Cancel)", 2),
        ("o = QgsVectorFileWriter.SaveVectorOptions()", 0),
        ("def f() -> Qgis.ProcessingAlgorithmFlags: ...", 0),
        ("x = QgsProcessing.TEMPORARY_OUTPUT", 0),
        ("from PyQt5.QtCore import Qt", 1),
        ("import PyQt6.QtGui", 1),
        ("from qgis.PyQt.QtCore import Qt", 0),
        ("from qgis.PyQt.QtWidgets import QAction, QWidget", 1),
        ("from qgis.PyQt.QtGui import QAction", 0),
        ("from qgis.PyQt.QtCore import QRegExp", 1),
        ("QVariant.String", 1),
        ("event.globalPos()", 1),
        ("dialog.exec_()", 1),
        ("dialog.exec()", 0),
    ],
)
def test_the_reader_itself(source, count):
    assert len(problems(source)) == count
