"""Qt 6 in the place of QGIS, for as long as these tests run."""

import os
import sys
from pathlib import Path

import pytest

SHIM = Path(__file__).parent / "shim"


def forget() -> None:
    """Have the next import of ui, and of what it stands on, begin anew."""
    for name in list(sys.modules):
        if name.split(".")[0] == "qgis" or name.startswith("tilehawk.ui"):
            del sys.modules[name]


@pytest.fixture(scope="package", autouse=True)
def qt6():
    """The application, with `qgis.PyQt` being PyQt6."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    sys.path.insert(0, str(SHIM))
    forget()
    from qgis.PyQt.QtWidgets import QApplication

    application = QApplication.instance() or QApplication([])
    yield application
    sys.path.remove(str(SHIM))
    forget()


@pytest.fixture(autouse=True)
def slot_errors(monkeypatch):
    """An exception in a slot fails the test, where PyQt would abort the whole run without a word."""
    errors = []
    monkeypatch.setattr(sys, "excepthook", lambda *error: errors.append(error[1]))
    yield
    assert errors == []


@pytest.fixture(params=["en_US", "de", "ja"])
def language(request, monkeypatch):
    """Each of some languages."""
    from qgis.core import QgsApplication

    monkeypatch.setattr(QgsApplication, "language", request.param)
    return request.param
