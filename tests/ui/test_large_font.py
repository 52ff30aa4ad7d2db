"""Windows at half as large a font again, as QGIS's options set it: a style sheet, applied once they are shown."""

import pytest
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QLabel, QMainWindow, QScrollArea
from tilehawk.ui import environment
from tilehawk.ui.results.dock import ResultsDock
from tilehawk.ui.set_up_dialog import SetUpDialog

from tests.ui.scenery import wait_until


@pytest.fixture
def large_font(qgis_app):
    QApplication.instance().setStyleSheet("QWidget { font: 14pt }")
    yield
    QApplication.instance().setStyleSheet("")


@pytest.fixture
def dock(large_font, qgis_iface):
    window = QMainWindow()
    dock = ResultsDock(qgis_iface.mapCanvas(), window)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
    window.show()
    window.resize(100, 700)
    yield dock
    dock.close_pages()
    window.close()
    window.deleteLater()


def test_the_set_up_shows_all_it_says(large_font, plugin, qgis_iface, monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "ROOT", tmp_path)  # as where no Python has been set up yet
    monkeypatch.setenv("XDG_DATA_HOME", "/home/you/.local/share")  # a path as long as a user's
    dialog = SetUpDialog(qgis_iface.mainWindow(), qgis_iface, list)
    dialog.show()
    wait_until(lambda: dialog.panel.plan["size"].text())
    QTest.qWait(200)
    wait_until(lambda: dialog._scroll.verticalScrollBar().maximum() == 0, 8)
    dialog.close()
    dialog.deleteLater()


def test_no_page_of_the_results_dock_is_cut_at_its_side(dock):
    dock.review.place.setText("123,456 of 234,567 decided")
    column = dock.findChild(QScrollArea)
    for page in (dock.figures, dock.review):
        dock.pages.setCurrentWidget(page)
        QTest.qWait(100)
        assert page.minimumSizeHint().width() <= column.viewport().width()
        assert column.horizontalScrollBar().maximum() == 0


def test_a_message_of_the_results_dock_is_whole(dock):
    dock.messages.warn("The layer 'swimming pools' is being edited: save or discard its changes first. " * 2)
    QTest.qWait(100)
    words = dock.messages.findChild(QLabel, "words")
    assert words.isVisible()
    assert words.height() >= words.heightForWidth(words.width()) > 4 * words.fontMetrics().height()
    QTest.mouseClick(dock.messages.dismiss, Qt.MouseButton.LeftButton)
    assert not dock.messages.isVisible()
    dock.messages.tell("'found': 3 objects found again.", 0.05)
    wait_until(lambda: not dock.messages.isVisible(), 8)


def test_many_warnings_scroll_beside_the_form(large_font, detect_dialog):
    detect_dialog.resize(1200, 700)
    warning = {
        "text": "The band taken as red looks like near infrared, as in false-colour images.",
        "remedy": "Under Advanced, choose the bands that are red, green and blue; often these are 2 and 3.",
    }
    detect_dialog.card.show_facts({"warnings": [warning] * 5})
    QTest.qWait(200)
    assert detect_dialog.height() == 700
    words = detect_dialog.card.findChildren(QLabel, "text")
    assert len(words) == 5
    assert all(each.height() >= each.heightForWidth(each.width()) for each in words)
