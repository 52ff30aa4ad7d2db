"""The card beside the Train dialog's form: what a survey tells, also of samples that are mixed in."""

from tilehawk.ui.training.survey_card import SurveyCard

ANCHORS = {"sizes": [10, 20], "reached": 0.99}
FACTS = {
    "classes": {"pool": {"train": 20, "val": 5, "test": 5}},
    "images": {"train": 1, "val": 1, "test": 1},
    "resolution_m": 0.6,
    "anchors": {
        "median_px": 12,
        "histogram": {"edges_px": [0, 8, 12, 16], "counts": [0, 10, 20, 0]},
        "chosen": ANCHORS,
        "default": {**ANCHORS, "reached": 0.4},
    },
    "warnings": [],
}


def test_what_is_mixed_in_is_told_below_the_objects(qgis_app):
    card = SurveyCard()
    card.show_facts({**FACTS, "notices": ["Earlier samples are mixed in: 45 objects of 'a<b.gpkg'."]})
    assert "<b>pool</b>" in card.classes.text()
    assert card.classes.text().endswith("Earlier samples are mixed in: 45 objects of &#x27;a&lt;b.gpkg&#x27;.</p>")
    card.show_facts(FACTS)
    assert "mixed in" not in card.classes.text()
    card.deleteLater()
