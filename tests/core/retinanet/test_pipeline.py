"""Batches in flight come back in order, each with its own detections, also where memory runs out."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from core.detections.detections import Detections
from core.retinanet.augmented import AugmentedDetector
from core.retinanet.detector import Detector
from core.retinanet.device import Backend
from core.retinanet.network import build_network
from core.retinanet.pipeline import Batch, stream

CPU = Backend(torch.device("cpu"), torch.float32, "processor")


@pytest.fixture
def detector(card) -> Detector:
    network = build_network(card.architecture, 2)
    torch.nn.init.normal_(network.head.classification_head.cls_logits.weight, std=0.3)
    return Detector(card, network, CPU)


@pytest.fixture
def batches() -> list[Batch]:
    rng = np.random.default_rng(0)
    sizes = (2, 2, 3, 1)
    return [(np.arange(n), rng.integers(0, 256, (n, 3, 64, 64), np.uint8), np.ones((n, 64, 64), bool)) for n in sizes]


def assert_equal(found: list[Detections], expected: list[Detections]) -> None:
    assert len(found) == len(expected)
    for ours, known in zip(found, expected, strict=True):
        assert len(known) > 5
        assert (ours.boxes == known.boxes).all()
        assert (ours.scores == known.scores).all()
        assert (ours.labels == known.labels).all()


@pytest.mark.parametrize("in_flight", [1, 2, 3])
def test_each_batch_has_what_it_has_alone(detector, batches, in_flight):
    expected = [detector(batch[1], 0.05, 0.5) for batch in batches]
    detector.in_flight = in_flight
    given = list(stream(detector, batches, 0.05, 0.5))
    assert [batch is known for (batch, _), known in zip(given, batches, strict=True)] == [True] * 4
    for (_, found), known in zip(given, expected, strict=True):
        assert_equal(found, known)


def test_the_next_batch_is_started_before_this_one_is_finished(detector, batches, monkeypatch):
    detector.in_flight, log = 2, []
    start, finish = detector.start, detector.finish
    monkeypatch.setattr(detector, "start", lambda images: log.append("start") or start(images))
    monkeypatch.setattr(detector, "finish", lambda *rest: log.append("finish") or finish(*rest))

    def read() -> Iterator[Batch]:
        for batch in batches:
            log.append("read")
            yield batch

    for _ in stream(detector, read(), 0.05, 0.5):
        log.append("merge")
    once = ["read", "start", "finish", "merge"]
    assert log == ["read", "start", *once * 3, "finish", "merge"]


def test_what_does_not_fit_is_repeated_in_halves_and_from_then_on(detector, batches, monkeypatch):
    expected = [detector(batch[1], 0.05, 0.5) for batch in batches]
    normalise, decode = detector.normalise, detector._decode

    def cramped(images: torch.Tensor) -> torch.Tensor:
        if len(images) > 2:
            raise torch.OutOfMemoryError
        return normalise(images)

    def short_once(*rest: object) -> object:
        monkeypatch.setattr(detector, "_decode", decode)
        raise torch.OutOfMemoryError

    monkeypatch.setattr(detector, "normalise", cramped)
    monkeypatch.setattr(detector, "_decode", short_once)
    detector.in_flight = 2
    for (_, found), known in zip(stream(detector, batches, 0.05, 0.5), expected, strict=True):
        assert [len(one) for one in found] == [len(one) for one in known]
    assert detector.batch_limit == 1


def test_detectors_that_cannot_are_called_in_turn(detector, batches):
    augmented = AugmentedDetector(detector, ["flips"])
    for batch, found in stream(augmented, batches[:2], 0.05, 0.5):
        assert_equal(found, augmented(batch[1], 0.05, 0.5))
    assert list(stream(detector, [], 0.05, 0.5)) == []
