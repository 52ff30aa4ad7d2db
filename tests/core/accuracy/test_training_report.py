"""The page of a model, from its card and what it found."""

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np

from core.accuracy.looks import Look
from core.accuracy.training_report import training_page
from core.detections.detections import Detections
from core.job.card import Band, ModelCard, ObjectClass

CARD = ModelCard(
    "pools",
    (ObjectClass("pool"), ObjectClass("tub")),
    (Band("red"), Band("green"), Band("blue")),
    0.6,
    title="Pools of <Lund>",
    threshold=0.4,
    credits=("Imagery: the county", "Labels: us"),
    metrics={
        "iou": 0.3,
        "epoch": 2,
        "test": {"ap30": 0.91, "f1": 0.88, "intervals": {"ap30": [0.85, 0.95]}},
    },
    training={
        "objects": {"train": 900, "val": 100},
        "seconds": 75,
        "labels": [{"name": "pools.gpkg", "sha256": "0123456789abcdef" * 4}],
        "areas": [[13.1, -55.6, 13.2, -55.5]],
        "recipe": {"learning_rate": 7e-4, "epochs": 2},
        "anchors": {
            "objects": 1000,
            "median_px": 12.5,
            "histogram": {"edges_px": [4, 8, 16, 32], "counts": [10, 700, 290, 0]},
            "default": {"reached": 0.4},
            "chosen": {"levels": ["P2", "P3"], "sizes": [10.0, 20.0], "scales": [1.0, 1.26], "ratios": [1.0],
                       "reached": 0.98, "cost": 1.4},
        },
    },
)  # fmt: skip
HISTORY = [
    {"epoch": 1, "focal_loss": 0.9, "box_loss": 0.5, "ap30": 0.6, "ap50": 0.4, "f1": 0.5},
    {"epoch": 2, "focal_loss": 0.5, "box_loss": 0.3, "ap30": 0.8, "ap50": 0.7, "f1": 0.75},
]


def looks() -> list[Look]:
    truth = Detections.truth(np.array([[10, 10, 22, 22], [60, 60, 70, 70.0]]), np.array([0, 1]))
    found = Detections(np.array([[10, 10, 22, 22], [90, 90, 99, 99.0]]), np.array([0.9, 0.7]), np.array([0, 0]))
    return [Look("one.tif", found, truth, (128, 128), lambda x, y, w, h: np.full((3, h, w), 90, np.uint8))]


def body(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text[text.index("<body>") : text.index("</html>")])


def headings(text: str) -> list[str]:
    return [heading.text for heading in body(text).iter("h2")]


def test_everything_about_a_model_is_on_its_page():
    text = training_page(CARD, HISTORY, looks(), "val")
    assert next(body(text).iter("h1")).text == "Pools of <Lund>"
    assert headings(text) == [
        "By class", "Precision and recall", "Samples", "Worst misses", "Worst false finds",
        "Test", "Training", "Sizes and anchors", "Model", "Training data", "Settings",
    ]  # fmt: skip
    cells = ["".join(cell.itertext()) for cell in body(text).iter("td")]
    assert "0.850 to 0.950" in cells
    assert "P2, P3" in cells
    assert "train 900, val 100" in cells
    assert "0.0007" in cells
    assert {"pools.gpkg (SHA-256 0123456789ab…)", "55.6° S, 13.1° E", "1 min 15 s"} <= set(cells)
    words = " ".join(body(text).itertext())
    assert "best: epoch 2" in words
    assert "anchor of 12.6 px" in words
    assert "Imagery: the county; Labels: us" in cells
    assert "tub, 10 × 10 px" in words
    assert "pool of score 0.70, 9 × 9 px" in words


def test_figures_of_the_training_images_are_said_to_flatter():
    assert "flatter" in training_page(CARD, HISTORY, looks(), "train")
    assert "flatter" not in training_page(CARD, HISTORY, looks(), "test")


def test_a_model_of_which_little_is_known_has_a_page():
    bare = replace(CARD, metrics={}, training={}, credits=())
    assert headings(training_page(bare, [], [], "val")) == ["Model"]
