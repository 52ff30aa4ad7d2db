"""Texts of the user's language: the catalogues hold every text of ui, and nothing in them is broken."""

import ast
import json

import pytest
from qgis.core import QgsApplication
from tilehawk.ui import translation
from tilehawk.ui.wording import duration, tr

from tests.ui.texts import LANGUAGES, ROOT, SOURCES, calls_of_tr, catalogue, marks, texts


@pytest.fixture
def language(monkeypatch, tmp_path):
    def choose(name, texts, locale=None):
        (tmp_path / f"{name}.json").write_text(json.dumps(texts), "utf-8")
        monkeypatch.setattr(translation, "FOLDER", tmp_path)
        monkeypatch.setattr(QgsApplication, "locale", lambda: locale or name)
        translation.catalogue.cache_clear()

    yield choose
    translation.catalogue.cache_clear()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_whole_texts_are_translated(path):
    for call in calls_of_tr(path):
        (text,) = call.args
        assert isinstance(text, ast.Constant), f"line {call.lineno}: a text put together cannot be found"
        assert isinstance(text.value, str)
        assert text.value.strip()


def test_a_text_in_the_language_of_qgis(language):
    language("fr", {"{n} s": "{n} secondes"})
    assert duration(14) == "14 secondes"
    assert tr("not in the catalogue") == "not in the catalogue"


def test_a_country_speaks_its_language(language):
    language("pt", {"Model": "Modelo"}, locale="pt_BR")
    assert tr("Model") == "Modelo"


def test_english_needs_no_catalogue(language):
    language("fr", {"Model": "Modèle"}, locale="en_US")
    assert tr("Model") == "Model"


def test_marks_are_found():
    assert marks("<b>{n}</b> of {total:,}&nbsp;m") == ["&nbsp;", "</b>", "<b>", "{n}", "{total:,}"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated(language):
    known, wanted = catalogue(language), texts()
    assert [text for text in wanted if not known.get(text, "").strip()] == []
    assert sorted(set(known) - set(wanted)) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_and_tags_are_kept(language):
    broken = {text: said for text, said in catalogue(language).items() if marks(text) != marks(said)}
    assert broken == {}
