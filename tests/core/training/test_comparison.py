"""Old model and new on the same test images: figures that can be counted by hand, and which of the two is kept."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.detections.detections import Detections
from core.job.card import Band, ModelCard, ObjectClass, read_card
from core.job.comparison import in_words, is_worse
from core.job.jobs import TrainJob
from core.retinanet.weights import load_model
from core.train import train
from core.training.comparison import Side, compare, destination
from core.training.outcome import Outcome
from core.training.pictures import Picture
from tests.core.squares import job_for, write_data


def boxes(count: int, y: float = 0) -> np.ndarray:
    return np.array([[20.0 * i, y, 20 * i + 10, y + 10] for i in range(count)]).reshape(-1, 4)


def picture(objects: int) -> Picture:
    return Picture(np.zeros((3, 64, 64), np.uint8), Detections.truth(boxes(objects)), "a")


def found(hits: int, wrong: int = 0, label: int = 0) -> Detections:
    """The first objects of a picture with a score of 0.9, and what is none with 0.8."""
    seen = np.concatenate([boxes(hits), boxes(wrong, 50)])
    scores = np.concatenate([np.full(hits, 0.9), np.full(wrong, 0.8)])
    return Detections(seen, scores, np.full(len(seen), label, np.int64))


def side(hits: list[int], wrong: list[int] | None = None, objects: int = 10, threshold: float = 0.5) -> Side:
    seen = [found(*each) for each in zip(hits, wrong or [0] * len(hits), strict=True)]
    return Side(("pool",), threshold, [(picture(objects), each) for each in seen])


def test_figures_are_those_that_one_counts_by_hand():
    compared = compare(side([5, 2, 8, 5], [1, 0, 2, 1]), side([6, 3, 8, 7], [0, 0, 1, 0]), 0.5)
    assert (compared["images"], compared["objects"], compared["decides"]) == (4, 40, "ap50")
    assert (compared["old"]["found"], compared["old"]["wrong"]) == (20, 4)
    assert (compared["new"]["found"], compared["new"]["wrong"]) == (24, 1)
    assert compared["old"]["f1"] == pytest.approx(2 * 20 / (40 + 4 + 20), abs=1e-4)
    assert compared["difference"]["f1"] == pytest.approx(2 * 24 / (48 + 1 + 16) - 40 / 64, abs=2e-4)
    assert compared["old"]["ap50"] == pytest.approx(51 / 101, abs=1e-4)  # recall points 0, .01, … .50, all precise
    assert compared["new"]["ap50"] == pytest.approx(61 / 101, abs=1e-4)
    assert compared["difference"]["ap50"] == pytest.approx(10 / 101, abs=2e-4)
    low, high = compared["intervals"]["ap50"]
    assert 0 <= low < compared["difference"]["ap50"] < high
    assert not is_worse(compared)
    assert in_words(compared) == (
        "On the same 4 test images the new model is better than the old one: AP at IoU 0.5 is 0.60, and was 0.51; of "
        "40 objects it finds 4 more, and 3 fewer of its detections are wrong."
    )


def test_pairing_knows_a_small_difference_that_holds_everywhere():
    old = side([1, 9] * 6)
    compared = compare(old, side([2, 10] * 6), 0.5)
    assert compared["difference"]["ap50"] == pytest.approx(10 / 101, abs=1e-3)
    low, high = compared["intervals"]["ap50"]
    assert 0.09 < low <= high < 0.11


def test_a_difference_that_comes_from_one_image_may_be_chance():
    compared = compare(side([5, 5, 5, 5, 2]), side([5, 5, 5, 4, 7]), 0.5)
    low, high = compared["intervals"]["ap50"]
    assert low < 0 < compared["difference"]["ap50"] < high
    assert in_words(compared).endswith("The difference may be chance.")


def test_a_worse_model_is_called_worse():
    compared = compare(side([8, 8]), side([5, 5], [1, 1]), 0.3)
    assert is_worse(compared)
    assert compared["decides"] == "ap30"
    assert "the new model is worse than the old one: AP at IoU 0.3 is 0.51, and was 0.80" in in_words(compared)
    assert "of 20 objects it finds 6 fewer, and 2 more of its detections are wrong." in in_words(compared)


def test_equal_models_are_called_so():
    words = in_words(compare(side([5, 5]), side([5, 5]), 0.5))
    assert "the new model is as good as the old one" in words
    assert "of 20 objects it finds as many, and as many of its detections are wrong." in words
    assert not words.endswith("may be chance.")


def test_models_are_compared_on_the_classes_that_both_know():
    truth = Detections.truth(boxes(4), np.array([0, 0, 1, 1]))  # of the new model's classes: car, pool
    shown = Picture(np.zeros((3, 64, 64), np.uint8), truth, "a")
    old = Side(("Pool", "tub"), 0.5, [(shown, Detections(boxes(4)[2:3], np.array([0.9]), np.array([0])))])
    new = Side(("car", "pool"), 0.5, [(shown, Detections(boxes(4), np.full(4, 0.9), np.array([0, 0, 1, 1])))])
    compared = compare(old, new, 0.5)
    assert compared["objects"] == 2
    assert (compared["old"]["found"], compared["new"]["found"], compared["new"]["wrong"]) == (1, 2, 0)
    assert compared["intervals"] == {}


def run(job: TrainJob) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    return train(job, events.append, lambda: False), events


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> TrainJob:
    """A training with test images, long enough to learn something."""
    folder = tmp_path_factory.mktemp("compared")
    data = write_data(folder / "data", ("train",) * 6 + ("val",) * 2 + ("test",) * 3)
    job = job_for(data, folder / "squares.safetensors", epochs=2, steps_per_epoch=15, batch_size=4)
    run(job)
    return job


def test_a_worse_model_does_not_take_the_place_of_a_better_one(first):
    before = Path(first.output).read_bytes()
    spoilt = replace(first, start_from=first.output, epochs=1, steps_per_epoch=3, learning_rate=0.5, ema_decay=0.0)
    result, events = run(spoilt)
    beside = str(Path(first.output).with_name("squares-2.safetensors"))
    assert (result["output"], result["kept"]) == (beside, first.output)
    assert Path(first.output).read_bytes() == before
    card = read_card(beside)
    compared = card.metrics["compared"]
    assert compared["model"] == "squares.safetensors"
    assert compared["difference"]["ap30"] < 0
    assert compared["old"]["ap30"] == read_card(first.output).metrics["test"]["ap30"]
    assert compared["new"]["ap30"] == card.metrics["test"]["ap30"]
    warnings = [event["text"] for event in events if event.get("level") == "warning"]
    assert warnings[-1] == (
        "The new model is worse than 'squares.safetensors', which is kept: the new one is 'squares-2.safetensors'."
    )
    assert warnings[-2].startswith("On the same 3 test images the new model is worse than the old one")
    page = Path(result["report"]).read_text("utf-8")
    assert result["report"] == beside.replace(".safetensors", ".html")
    assert "<h2>Old model and new</h2>" in page
    assert "The new model is worse than the old one." in page
    result, _ = run(replace(spoilt, overwrite=True))
    assert (result["output"], result["kept"]) == (first.output, None)
    assert Path(first.output).read_bytes() != before


def test_a_model_as_good_takes_the_old_ones_place(first, tmp_path):
    output = tmp_path / "squares.safetensors"
    start, _ = load_model(first.output)
    output.write_bytes(Path(first.output).read_bytes())
    result, _ = run(replace(first, output=str(output), start_from=str(output), epochs=1, steps_per_epoch=1,
                            learning_rate=1e-9, ema_decay=0.0))  # fmt: skip
    assert (result["output"], result["kept"]) == (str(output), None)
    compared = read_card(output).metrics["compared"]
    assert abs(compared["difference"]["ap30"]) < 0.2
    assert start.classes == read_card(output).classes


CARD = ModelCard("m", (ObjectClass("pool"),), (Band("red"), Band("green"), Band("blue")), None)


def test_a_file_that_cannot_be_compared_is_kept_and_a_free_name_found(tmp_path):
    job = job_for(tmp_path, tmp_path / "m.safetensors")
    said: list[dict[str, Any]] = []
    outcome = Outcome(CARD, [], "val")
    assert destination(job, outcome, said.append) == job.output
    assert said == []
    for name in ("m.safetensors", "m-2.safetensors"):
        (tmp_path / name).write_bytes(b"something else")
    assert destination(job, outcome, said.append) == str(tmp_path / "m-3.safetensors")
    assert "could not be compared with 'm.safetensors', which is kept" in said[0]["text"]
    assert destination(replace(job, overwrite=True), outcome, said.append) == job.output
