"""Reports speak the language that a job names: every text of theirs, in every catalogue, with its gaps."""

import ast
import re
from dataclasses import fields, replace
from xml.etree import ElementTree

import pytest

from core.accuracy import language
from core.accuracy.language import speaking, spoken, tr
from core.accuracy.names import FIGURES, figure_of, role, setting, split_name
from core.accuracy.report import evaluation_page
from core.accuracy.training_report import training_page
from core.job.card import BAND_ROLES
from core.job.checks import LANGUAGES
from core.job.train_job import TrainJob
from core.training.outcome import LOCAL
from core.training.setup import checkpoints_of
from tests.core.accuracy.test_training_report import CARD, HISTORY, looks
from tests.ui.texts import CATALOGUES, REPORTS, ROOT, calls_of_tr, catalogue, marks, texts

TRANSLATED = [name for name in LANGUAGES if name != "en"]
FILES, TERMS = {"one", "tif", "pools", "gpkg", "safetensors"}, {"F1", "IoU", "px", "min", "SHA", "P2", "P3", "resnet50"}
DATA = {"pool", "tub"} | FILES | TERMS
FIGURES_OF_BOTH = {"ap30": 0.8, "ap50": 0.6, "f1": 0.7, "found": 80, "wrong": 9}
FULL = replace(
    CARD,
    title="pools",
    credits=(),
    metrics={
        **CARD.metrics,
        "compared": {
            "model": "pools.safetensors", "images": 12, "objects": 100, "iou": 0.3, "decides": "ap30",
            "old": {**FIGURES_OF_BOTH, "ap30": 0.9}, "new": FIGURES_OF_BOTH,
            "difference": {"ap30": -0.1, "ap50": 0.0, "f1": 0.0}, "intervals": {"ap30": [-0.2, 0.0]},
        },
    },
    training={
        **CARD.training,
        "recipe": {"mix": True, "tell_sources": False, "band_roles": ["red", "nir"], "epochs": 2},
    },
)  # fmt: skip


def pages() -> list[str]:
    """A page of each kind that shows all there may be, and one of training images."""
    return [
        training_page(FULL, HISTORY, looks(), "test"),
        training_page(replace(FULL, metrics={}, training={}), HISTORY, looks(), "train"),
        training_page(replace(FULL, resolution_m=None), [], looks(), "val"),
        evaluation_page(looks()[0], ["pool", "tub"], 0.3, 0.4, {tr("Area"): "one.tif"}),
    ]


def words(page: str) -> list[str]:
    """All that a page says, also in tooltips."""
    body = ElementTree.fromstring(page[page.index("<body>") : page.index("</html>")])
    return [text.strip() for text in body.itertext() if text.strip()]


# --- the catalogues


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_whole_texts_are_translated(path):
    for call in calls_of_tr(path):
        (text,) = call.args
        assert isinstance(text, ast.Constant), f"line {call.lineno}: a text put together cannot be found"


def test_there_is_a_catalogue_for_every_language():
    assert sorted(path.stem for path in (CATALOGUES / "report").glob("*.json")) == sorted(TRANSLATED)


@pytest.mark.parametrize("name", TRANSLATED)
def test_every_text_of_a_report_is_translated(name):
    known, wanted = catalogue(name, "report"), texts(REPORTS)
    lacking = [text for text in wanted if not known.get(text, "").strip()]
    assert lacking == [], f"python3 tests/ui/texts.py {name} lists them to be filled in"
    assert sorted(set(known) - set(wanted)) == []


@pytest.mark.parametrize("name", TRANSLATED)
def test_gaps_are_kept(name):
    assert {text: said for text, said in catalogue(name, "report").items() if marks(text) != marks(said)} == {}


@pytest.mark.parametrize("name", LANGUAGES)
def test_names_side_by_side_are_told_apart(name):
    keys = [field.name for field in fields(TrainJob) if field.name not in LOCAL]
    with speaking(name):
        for said in (
            [setting(key) for key in (*keys, "objects", "images", "blocks", "steps", "backend")],
            [role(key) for key in BAND_ROLES],
            [split_name(key) for key in ("train", "val", "test")],
            [figure_of(key) for key in FIGURES],
            [tr("missed"), tr("object"), tr("right"), tr("wrong"), tr("not counted")],
            [tr("other objects"), tr("objects"), tr("other detections"), tr("detections"), tr("missed"), tr("wrong")],
        ):
            assert len(set(said)) == len(said), said


def test_every_setting_of_a_training_has_a_name():
    keys = [field.name for field in fields(TrainJob) if field.name not in LOCAL]
    with speaking("de"):
        assert [key for key in keys if setting(key) not in catalogue("de", "report").values()] == []
        assert setting("something_new") == "Something new"


# --- the pages


class Marked(dict):
    """A catalogue of a language in which every text is marked."""

    def get(self, text, _=None):
        return f"⟦{text}⟧"


def test_no_word_of_a_report_is_left_in_english(monkeypatch):
    monkeypatch.setattr(language, "_catalogue", lambda _: Marked())
    for page in pages():
        for said in words(page):
            rest = said
            while "⟦" in rest:
                rest = re.sub(r"⟦[^⟦⟧]*⟧", "", rest)
            assert set(re.findall(r"\b[^\W\d_]\w+", rest)) <= DATA, said


@pytest.mark.parametrize("name", LANGUAGES)
def test_every_page_can_be_made_in_every_language(name):
    with speaking(name):
        made = pages()
    for page in made:
        assert f'<html lang="{name}">' in page
        assert not re.search(r"\{\w+(:[^}]*)?\}", " ".join(words(page)))
    assert spoken() == "en"


def test_a_german_report():
    with speaking("de"):
        said = words(evaluation_page(looks()[0], ["pool", "tub"], 0.3, 0.4, {tr("Area"): "one.tif"}))
    assert said[0] == "Genauigkeit von one.tif"
    assert "Von 2 Objekten: 1 gefunden, 1 übersehen; 1 der Erkennungen ist falsch. " in " ".join(said)
    assert {"Präzision: Anteil richtiger Erkennungen", "Schlimmste falsche Funde"} <= set(said)
    assert "pool, Score 0.70, 9 × 9 px" in said
    assert {"Präzision", "Trefferquote", "Schwellwert 0.40", "AP bei IoU 0.3", "alle", "Fläche"} <= set(said)


def test_a_german_page_of_a_model():
    with speaking("de"):
        said = words(training_page(FULL, HISTORY, looks(), "test"))
    assert {"Das neue Modell ist schlechter als das alte.", "-0.200 bis +0.000", "beste: Epoche 2"} <= set(said)
    assert {"Training 900, Auswahl 100", "55.6° S, 13.1° O", "Anker von 12.6 px", "Rot, nahes Infrarot"} <= set(said)
    assert said[said.index("Frühere Beispiele beigemischt") + 1] == "ja"
    assert said[said.index("Quellen in der Modellkarte genannt") + 1] == "nein"


def test_a_japanese_report():
    with speaking("ja"):
        said = words(evaluation_page(looks()[0], ["pool", "tub"], 0.3, 0.4, {}))
        told = words(training_page(FULL, HISTORY, looks(), "test"))
    assert said[0] == "one.tif の精度"
    assert "2 個の物体のうち、1 個を検出し、1 個を見逃しました。誤検出は 1 件です。" in " ".join(said)
    assert {"適合率", "再現率", "しきい値 0.40", "AP (IoU 0.3)", "特に目立つ誤検出"} <= set(said)
    assert {"以前のモデルと新しいモデル", "0.850～0.950", "最良: エポック 2", "南緯 55.6°, 東経 13.1°"} <= set(told)


# --- jobs


def test_the_language_of_its_page_is_no_other_training():
    job = TrainJob(output="/tmp/m.safetensors", data=("/tmp",))
    assert checkpoints_of(job).about == checkpoints_of(replace(job, language="ja")).about
    assert "language" in LOCAL
