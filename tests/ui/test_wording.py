"""Counts and durations as people say them."""

import pytest
from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor
from tilehawk.ui import translation
from tilehawk.ui.class_picker import ClassPicker
from tilehawk.ui.results.class_table import ClassTable
from tilehawk.ui.wording import class_name, counted, duration

from tests.ui.scenery import CARD
from tests.ui.texts import LANGUAGES


@pytest.fixture
def speak(monkeypatch):
    """Choose QGIS's language."""

    def choose(language):
        monkeypatch.setattr(QgsApplication, "locale", lambda: language)

    yield choose
    translation.catalogue.cache_clear()


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ({"pool": 0}, "no objects"),
        ({"pool": 1}, "1 pool"),
        ({"swimming pool": 1312}, "1,312 swimming pools"),
        ({"bus": 2}, "2 buses"),
        ({"car": 1, "bus": 0}, "1 object (car 1)"),
        ({"car": 300, "bus": 12}, "312 objects (car 300, bus 12)"),
    ],
)
def test_objects_are_counted_by_class(objects, words):
    assert counted(objects) == words


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (99, "99 s"), (180, "3 min"), (7800, "2 h 10 min")])
def test_time_is_told_as_people_do(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("language", "one", "many"),
    [("de", "1 × Pool", "312 × Pool"), ("fr", "1 × piscine", "312 × piscine"), ("ja", "プール 1 個", "プール 312 個")],
)
def test_no_english_plural_in_another_language(speak, language, one, many):
    speak(language)
    assert [counted({"pool": 1}), counted({"pool": 312})] == [one, many]
    assert counted({"thingummy": 2}) == many.replace("312", "2").replace(class_name("pool"), "thingummy")


def test_each_class_is_named_in_the_language(speak):
    speak("de")
    assert counted({"car": 300, "bus": 12, "tree": 0}) == "312 Objekte (Auto 300, bus 12)"


def test_a_language_without_a_catalogue_is_told_in_english(speak):
    speak("it_IT")
    assert counted({"tree": 2}) == "2 trees"


@pytest.mark.parametrize("language", LANGUAGES)
def test_bundled_classes_have_a_name_in_every_language(speak, language):
    speak(language)
    names = ("building", "car", "pool", "roof", "swimming pool", "tree")
    assert [name for name in names if class_name(name) == name] == []


def test_data_keep_their_names(speak):
    """A translated name is for the eye: what is chosen and switched is the class as the model has it."""
    speak("de")
    picker, table, switched = ClassPicker(), ClassTable(), []
    picker.set_card(CARD)
    picker.choose(["tree"])
    assert [picker.item(row).text() for row in range(2)] == ["Pool", "Baum"]
    assert picker.names() == ["tree"]
    table.switched.connect(lambda name, shown: switched.append((name, shown)))
    table.show_figures({"tree": (QColor("#00ff00"), True)}, {"tree": (2, 10.0)})
    assert table.topLevelItem(0).text(0) == "Baum"
    table.topLevelItem(0).setCheckState(0, Qt.CheckState.Unchecked)
    assert switched == [("tree", False)]
