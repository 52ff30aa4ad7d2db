"""The help: its pages are whole, link to what there is, name no machine, and every Help button opens one of them."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from qgis.core import QgsVectorLayer
from qgis.PyQt.QtCore import Qt, QUrl
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QDialogButtonBox
from tilehawk.ui.branding import help_url
from tilehawk.ui.detect_dialog import DetectDialog
from tilehawk.ui.detect_runs import DetectRuns
from tilehawk.ui.get_models_dialog import GetModelsDialog
from tilehawk.ui.options import OptionsPage
from tilehawk.ui.results.dock import ResultsDock
from tilehawk.ui.results.export_dialog import ExportDialog
from tilehawk.ui.results.merge_dialog import MergeDialog
from tilehawk.ui.results.zones_dialog import ZonesDialog
from tilehawk.ui.review.page import ReviewPage
from tilehawk.ui.set_up_dialog import SetUpDialog
from tilehawk.ui.training.dialog import TrainDialog

ROOT = Path(__file__).resolve().parents[2]
HELP = ROOT / "resources" / "help"
PAGES = sorted(HELP.glob("*.html"))
MOST_BYTES = 1_500_000  # of all pictures
MACHINE = re.compile(r"/(?:tmp|home|root|work|Users)/|\b[A-Z]:\\Users|localhost|\b127\.0\.0\.1")
WINDOWS = {
    "detect": lambda iface: DetectDialog(iface, DetectRuns(iface)),
    "train": TrainDialog,
    "set-up": lambda iface: SetUpDialog(iface.mainWindow(), iface, list),
    "set-up#options": lambda _: OptionsPage(),
    "models#get": lambda _: GetModelsDialog(),
    "results#export": lambda _: ExportDialog(QgsVectorLayer("Polygon", "pools", "memory"), "3 objects"),
    "results#zones": lambda _: ZonesDialog(),
    "results#merge": lambda _: MergeDialog("pools"),
}


def tree(page):
    """Read a page as XML, which is stricter than any browser."""
    text = page.read_text("utf-8")
    assert text.startswith("<!DOCTYPE html>\n")
    return ElementTree.fromstring(text.partition("\n")[2])


def places(page):
    return {element.get("id") for element in tree(page).iter() if element.get("id")}


def missing(address):
    """Say what of a link inside the help is not there, empty where all is."""
    name, _, place = address.partition("#")
    page = HELP / name
    if not page.is_file():
        return address
    return address if place and place not in places(page) else ""


def test_there_are_the_pages_that_the_first_one_lists():
    listed = {element.get("href") for element in tree(HELP / "index.html").find("body/nav").iter("a")}
    assert listed == {page.name for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_whole(page):
    html = tree(page)
    assert html.find("head/title").text
    assert len(html.findall("body/main/h1")) == 1
    links = [element.get("href") for element in html.iter() if element.get("href")]
    assert [link for link in links if missing(link if not link.startswith("#") else page.name + link)] == []
    pictures = list(html.iter("img"))
    assert [each.get("src") for each in pictures if not (HELP / each.get("src")).is_file()] == []
    assert all(each.get("alt") for each in pictures)
    assert not list(html.iter("script"))


@pytest.mark.parametrize("page", [*PAGES, HELP / "help.css"], ids=lambda page: page.name)
def test_nothing_outside_is_named_or_fetched(page):
    text = page.read_text("utf-8")
    assert MACHINE.findall(text) == []
    assert re.findall(r"(?:src|href)=[\"']?\w+:|url\(|@import", text) == []


def test_every_picture_is_used_and_all_are_light():
    used = {element.get("src") for page in PAGES for element in tree(page).iter("img")}
    there = list((HELP / "images").glob("*.png"))
    assert {f"images/{picture.name}" for picture in there} == used
    assert sum(picture.stat().st_size for picture in there) < MOST_BYTES


def test_every_algorithm_leads_to_a_page(plugin):
    for algorithm in plugin.provider.algorithms():
        url = QUrl(algorithm.helpUrl())
        assert url.isLocalFile()
        assert missing(Path(url.toLocalFile()).name + (f"#{url.fragment()}" if url.fragment() else "")) == ""


class Browser:
    """Takes the addresses that would be opened."""

    def __init__(self):
        self.opened = []

    def __call__(self, url):
        self.opened.append(url)
        return True


@pytest.mark.parametrize("page", list(WINDOWS))
def test_a_help_button_opens_its_page(page, plugin, qgis_iface, stand_in, monkeypatch):
    browser = Browser()
    monkeypatch.setattr(QDesktopServices, "openUrl", browser)
    window = WINDOWS[page](qgis_iface)
    (button,) = (
        box.button(QDialogButtonBox.StandardButton.Help)
        for box in window.findChildren(QDialogButtonBox)
        if box.button(QDialogButtonBox.StandardButton.Help) is not None
    )
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    window.close()
    window.deleteLater()
    assert browser.opened == [help_url(page)]
    assert Path(browser.opened[0].toLocalFile()).parent == HELP
    assert missing(page.partition("#")[0] + ".html" + page[len(page.partition("#")[0]) :]) == ""


def test_the_results_dock_leads_to_the_page_of_what_it_shows(qgis_iface, monkeypatch):
    browser = Browser()
    monkeypatch.setattr(QDesktopServices, "openUrl", browser)
    dock = ResultsDock(qgis_iface.mapCanvas())
    for layer in (None, QgsVectorLayer("Polygon", "under review", "memory")):
        monkeypatch.setattr(ReviewPage, "layer", layer)
        QTest.mouseClick(dock.help, Qt.MouseButton.LeftButton)
    monkeypatch.undo()
    dock.close_pages()
    dock.deleteLater()
    assert browser.opened == [help_url("results"), help_url("results#review")]
    assert missing("results.html#review") == ""


def test_the_readme_links_to_every_page():
    text = (ROOT / "README.md").read_text("utf-8")
    assert [page.name for page in PAGES if f"resources/help/{page.name}" not in text] == []


def test_controls_are_called_as_in_the_interface(algorithm):
    """Every name in the advanced table of the Detect page is one that the dialog shows."""
    names = {each.description() for each in algorithm.parameterDefinitions()}
    plain = {re.sub(r" \(.*\)$", "", name) for name in names}
    advanced = tree(HELP / "detect.html").find("body/main/table")
    said = [name.strip() for row in advanced.findall("tr")[1:] for name in row.find("td").text.split(",")]
    assert [name for name in said if name not in plain] == []
