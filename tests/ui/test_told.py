"""What core says comes out in the user's language, whole, with its values; and nothing else is touched."""

import ast
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from qgis.core import QgsApplication
from tilehawk.core.job.card import read_card
from tilehawk.core.job.environment.remedies import REMEDIES, InstallError
from tilehawk.core.job.environment.state import InstallOptions
from tilehawk.core.job.errors import TilehawkError, explain
from tilehawk.core.job.events import notice, progress
from tilehawk.core.job.jobs import DetectJob, job_from_json
from tilehawk.core.job.process import DEATHS, death_sentence
from tilehawk.core.job.train_job import TrainJob
from tilehawk.ui import told, translation
from tilehawk.ui.algorithms.reporting import FeedbackReport, LiveFeedback
from tilehawk.ui.preflight_card import PreflightCard
from tilehawk.ui.told import GAP, LEAST_KNOWN, Sentences, Template, tr_core

from tests.ui.core_texts import core
from tests.ui.texts import LANGUAGES, ROOT, SOURCES, catalogue
from tests.ui.texts import marks as marks_of

ENGLISH = re.compile(r"\b(?:the|is|are|cannot|must|does|has|of|with|not|choose|which|what)\b", re.IGNORECASE)
PROBLEMS = {"TilehawkError", "InvalidJob", "RasterError", "ModelError", "LabelError", "OutputError", "WorkerError"}


@pytest.fixture
def german(monkeypatch):
    monkeypatch.setattr(QgsApplication, "locale", lambda: "de_AT")


@pytest.fixture
def language(monkeypatch, tmp_path):
    def choose(name, texts):
        (tmp_path / "core").mkdir()
        (tmp_path / "core" / f"{name}.json").write_text(json.dumps(texts), "utf-8")
        monkeypatch.setattr(translation, "FOLDER", tmp_path)
        monkeypatch.setattr(QgsApplication, "locale", lambda: name)
        forget()

    yield choose
    forget()


def forget():
    told._sentences.cache_clear()
    told._said.cache_clear()


def gaps(text):
    return Counter(number for number, _ in GAP.findall(text))


def filled(text, values):
    return GAP.sub(lambda gap: values[int(gap[1])], text)


# --- the catalogues


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_of_core_is_translated(language):
    known = catalogue(language, "core")
    lacking = {text: name for text, name in core().templates.items() if not known.get(text, "").strip()}
    assert lacking == {}, f"python3 tests/ui/texts.py {language} lists them to be filled in"
    assert sorted(set(known) - core().templates.keys()) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_gaps_are_kept(language):
    broken = {text: said for text, said in catalogue(language, "core").items() if gaps(text) != gaps(said)}
    assert broken == {}
    others = {text: said for text, said in catalogue(language, "core").items() if set(marks_of(GAP.sub("", said)))}
    assert others == {}


def test_languages_agree_on_what_is_told_within():
    marks = {language: {} for language in LANGUAGES}
    for language, found in marks.items():
        for text, said in catalogue(language, "core").items():
            found[text] = {number for number, told_too in GAP.findall(said) if told_too}
    assert [text for text in marks["de"] if len({str(sorted(found[text])) for found in marks.values()}) > 1] == []


WORDS = ["Apfel", "Birne", "Kirsche", "Dattel", "Esche", "Fichte", "Ginster", "Holz"]
VALUES = {  # within quotes, and elsewhere
    "words": (WORDS, WORDS),
    "numbers": (WORDS, ["1,234", "0.5", "12%", "-3", "7", "1e+06", "99", "10"]),
    "paths": ([f"/data/a folder.d/o'brien {i}.tif" for i in range(8)], WORDS),
}


def chosen(text, quoted, others):
    """Values for the gaps of a template."""
    return [quoted[i] if f"'{{{i}}}'" in text else others[i] for i in range(8)]


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_is_recognised_with_any_values(language, kind):
    known = catalogue(language, "core")
    sentences = Sentences(known)
    wrong = {}
    for text, said in known.items():
        if gaps(text) and Template(text, said).weight < LEAST_KNOWN:
            continue
        values = chosen(text, *VALUES[kind])
        expected, got = filled(said, values), sentences.translate(filled(text, values))
        if got != expected:
            wrong[filled(text, values)] = (got, expected)
    assert wrong == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_two_sentences_are_told_as_each_alone(language):
    known = catalogue(language, "core")
    sentences = Sentences(known)
    whole = [text for text in known if text.endswith(".")]
    for first, second in zip(whole, whole[7:] + whole[:7], strict=True):
        one, other = (filled(text, WORDS) for text in (first, second))
        for between in (" ", "\n"):
            got = sentences.translate(one + between + other)
            assert got == sentences.translate(one) + between + sentences.translate(other)


# --- how sentences are told


def test_values_may_change_their_places(language):
    language("fr", {"{0} of {1} is '{2}'.": "« {2} » est {0} sur {1}."})
    assert tr_core("3 of 5 is 'a b'.") == "« a b » est 3 sur 5."


def test_the_better_known_template_counts(language):
    language("fr", {"The {0} is here.": "Voici {0}.", "The raster '{0}' is here.": "Voici le raster {0}."})
    assert tr_core("The raster 'a' is here.") == "Voici le raster a."
    assert tr_core("The raster is here.") == "Voici raster."


def test_values_are_told_only_where_the_catalogue_says_so(language):
    language("fr", {"The bands {0}, class {1}.": "Bandes {0:told}, classe {1}.", "red": "R"})
    assert tr_core("The bands red, swir, class red.") == "Bandes R, swir, classe red."


def test_short_templates_are_values_alone(language):
    language("fr", {"{0} more": "{0} de plus", "It finds {0} of them.": "Trouvés : {0:told}."})
    assert tr_core("Tell me more") == "Tell me more"
    assert tr_core("It finds 3 more of them.") == "Trouvés : 3 de plus."


def test_what_is_not_known_stays(language):
    language("fr", {"The disk is full.": "Le disque est plein."})
    assert tr_core("Some words of GDAL's. The disk is full. And others.") == (
        "Some words of GDAL's. Le disque est plein. And others."
    )
    assert tr_core("") == ""


def test_a_reason_may_hold_what_looks_like_an_end(language):
    reason = "'{0}' is in no known format, e.g. 'CSV:path'"
    language("fr", {"'{0}' cannot be read: {1}.": "Illisible {0} : {1:told}.", reason: "format inconnu {0}"})
    assert tr_core("'a' cannot be read: '/x/a' is in no known format, e.g. 'CSV:path'.") == (
        "Illisible a : format inconnu /x/a."
    )


def test_what_is_told_already_stays(german):
    once = tr_core("The disk is full. Make room on it, or write the result to another one.")
    assert tr_core(once) == once


def test_english_reads_no_catalogue(monkeypatch):
    monkeypatch.setattr(QgsApplication, "locale", lambda: "en_GB")
    forget()
    assert tr_core("The disk is full.") == "The disk is full."
    assert told._sentences("en_GB") is None


# --- sentences that core really says


def problem_of(work, *arguments):
    with pytest.raises(TilehawkError) as caught:
        work(*arguments)
    return caught.value


@pytest.fixture
def job(raster, model, tmp_path):
    def make(**changes):
        return DetectJob(**{"raster": raster, "model": model, "output": str(tmp_path / "found.gpkg"), **changes})

    return make


def test_a_raster_that_is_not_there(german, job, tmp_path):
    path = str(tmp_path / "no such.tif")
    assert tr_core(problem_of(job(raster=path).validate)) == f"Das Raster „{path}“ gibt es nicht."


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"raster": ""}, "Wählen Sie ein Raster zum Untersuchen."),
        ({"threshold": 1.5}, "Der Schwellwert muss zwischen 0 und 1 liegen, nicht bei 1.5."),
        ({"tile_px": 20}, "Die Kachelgröße muss zwischen 64 und 8192 px liegen, nicht bei 20."),
        ({"bands": (0, 1, 2)}, "Kanäle werden ab 1 gezählt."),
        ({"value_range": (5.0, 5.0)}, "Der untere Wert des Wertebereichs muss unter dem oberen liegen."),
        ({"device": "gpu"}, "Das Gerät „gpu“ ist unbekannt; wählen Sie eines von auto, cpu, cuda, mps."),
        ({"classes": ()}, "Wählen Sie mindestens eine Klasse, nach der gesucht wird."),
    ],
)
def test_a_job_that_cannot_be(german, job, changes, said):
    assert tr_core(problem_of(job(**changes).validate)) == said


def test_a_model_that_is_none(german, tmp_path):
    path = tmp_path / "notes.safetensors"
    path.write_text("not a model")
    said = tr_core(problem_of(read_card, path))
    assert said == "„notes.safetensors“ ist kein Modell von Tilehawk: Es ist keine safetensors-Datei."


def test_a_training_without_labels(german, tmp_path):
    said = tr_core(problem_of(TrainJob(output=str(tmp_path / "m.safetensors")).validate))
    assert said.startswith("Wählen Sie mindestens einen Ordner mit markierten Bildern oder ein Raster")


def test_every_remedy(german):
    for row in REMEDIES:
        sentence = row.sentence.format(host="pypi.org", folder="/opt/umgebung", last="letzte Worte")
        said = tr_core(sentence)
        assert not ENGLISH.search(said.replace("Windows", "")), said
        for value in ("pypi.org", "/opt/umgebung", "letzte Worte"):
            assert (value in said) == (value in sentence)
    full = tr_core(InstallError("No space left", Path("/opt/umgebung")))
    assert full.startswith("Der Datenträger mit „/opt/umgebung“ ist voll.")


def test_every_death_of_a_worker(german):
    for code in (*DEATHS, 3):
        assert not ENGLISH.search(tr_core(death_sentence(code, "")))
    said = tr_core(f"{death_sentence(3, 'last words')} The worker's log is '/tmp/w.log'.")
    assert said == (
        "Der Hintergrundprozess endete unerwartet: Exit-Code 3, „last words“. "
        "Das Protokoll des Hintergrundprozesses liegt in „/tmp/w.log“."
    )


@pytest.mark.parametrize("problem", [MemoryError(), OSError(28, "full"), ModuleNotFoundError(name="torch")])
def test_what_goes_wrong_anywhere(german, problem):
    assert not ENGLISH.search(tr_core(explain(problem)))


def test_options_of_an_installation(german):
    said = tr_core(problem_of(InstallOptions(proxy="nonsense").validate))
    assert said == "Die Adresse des Proxys muss mit http:// oder https:// beginnen."


def test_details_of_programs_stay_as_they_are(german):
    said = tr_core(problem_of(job_from_json, '{"job": "dance"}'))
    assert said.startswith("Der Auftrag ist nicht verständlich: its 'job' must be one of")


# --- where sentences enter ui


def test_a_run_is_followed_in_german(german):
    feedback = LiveFeedback()
    report = FeedbackReport(feedback)
    said = []
    feedback.said.connect(said.append)
    report(progress(0.5, "Tile 1,200 of 2,400", 30))
    report(notice("'a.tif' has no coordinate reference system.", "warning"))
    report(notice("Looking at 1 tile of 512 px on processor x86_64, 2 threads (cpu float32)."))
    assert said == ["Kachel 1,200 von 2,400, noch etwa 30 s"]
    log = feedback.textLog()
    assert "„a.tif“ hat kein Koordinatenbezugssystem." in log
    assert "1 Kachel von 512 px wird untersucht, auf Prozessor x86_64, 2 Threads (cpu float32)." in log


def test_a_card_warns_in_german(german):
    card = PreflightCard()
    warning = {
        "text": "The raster's pixels are 5.0 times coarser than the model's. Most objects will be missed.",
        "remedy": "Use a finer raster, or a model for this pixel size.",
    }
    card.show_facts({"warnings": [warning], "bands": {"red": 3, "nir": 1}})
    (said,) = card.sentences()
    assert said == (
        "Die Pixel des Rasters sind 5.0-mal gröber als die des Modells. Die meisten Objekte werden übersehen."
        "<br><i>Verwenden Sie ein feineres Raster oder ein Modell für diese Pixelgröße.</i>"
    )
    assert card.fact("bands") == "Rot 3, nahes Infrarot 1"


def handlers(path):
    """Find the places in a file where an error of core's is caught."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ExceptHandler) and PROBLEMS & set(re.findall(r"\w+", ast.unparse(node.type or node))):
            yield node


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_problem_of_core_is_shown_as_it_is(path):
    calls = [call for handler in handlers(path) for call in ast.walk(handler) if isinstance(call, ast.Call)]
    shown = [f"line {call.lineno}: {ast.unparse(call)}" for call in calls if ast.unparse(call) == "str(problem)"]
    assert shown == [], "tr_core(problem) tells it in the user's language"
