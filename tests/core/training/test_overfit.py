"""One small picture learnt by heart; the larger version is tests/benchmarks/overfit.py."""

import numpy as np
import torch

from core.accuracy.metrics import Assessment
from core.detections.detections import Detections
from core.job.augmentation import NO_AUGMENTATION
from core.job.card import Band, ModelCard, ObjectClass
from core.retinanet.detector import Detector
from core.retinanet.device import Backend
from core.retinanet.network import RetinaNetwork, build_network
from core.training.loop import fit
from core.training.pictures import Picture
from core.training.recipe import Recipe, Requests
from core.training.samples import Sampler
from core.training.validation import look_at
from tests.core.squares import TINY_SHAPE, draw


def test_one_image_is_learnt_by_heart():
    values, boxes = draw(3)
    picture = Picture(values[:3], Detections.truth(boxes), "squares")
    fill = np.array([90, 105, 80], np.uint8)
    bands = tuple(
        Band(role, mean=float(mean), std=40.0) for role, mean in zip(("red", "green", "blue"), fill, strict=True)
    )
    card = ModelCard("tiny", (ObjectClass("square"),), bands, None, TINY_SHAPE)
    backend = Backend(torch.device("cpu"), torch.float32, "processor")
    recalls: list[float] = []

    def validate(network: RetinaNetwork) -> dict[str, float]:
        found = look_at(Detector(card, network, backend), picture, fill)
        recalls.append(Assessment([(found, picture.truth)]).counts(0.5, 0.5).recall)
        return {"ap50": recalls[-1]}

    fit(
        card,
        build_network(TINY_SHAPE, 1),
        Sampler([picture], 64, fill, NO_AUGMENTATION, 0),
        Recipe(epochs=20, steps=10, batch_size=2, learning_rate=2e-3, ema_decay=0.9),
        backend,
        validate,
        lambda event: None,
        Requests(stopped=lambda: bool(recalls) and recalls[-1] >= 0.95),
    )
    assert recalls[-1] >= 0.95
    assert len(recalls) < 20
