import dataclasses
import json
import struct

import pytest

from core.job.card import (
    CARD_KEY,
    FORMAT,
    Architecture,
    Band,
    ModelCard,
    ObjectClass,
    card_from_json,
    card_to_json,
    read_card,
)
from core.job.errors import ModelError

CARD = ModelCard(
    name="pools",
    title="Swimming pools",
    classes=(ObjectClass("pool", "#00aaff"), ObjectClass("Grüner Teich")),
    bands=(Band("red", histogram=tuple(range(64))), Band("green"), Band("nir", 0.0, 4095.0, 80.0, 20.0)),
    resolution_m=0.6,
    training={"epochs": 12, "areas": [[1.5, 2.5]]},
    metrics={"ap50": 0.9},
)


def header(metadata, **tensors) -> bytes:
    text = json.dumps({"__metadata__": metadata, **tensors}).encode()
    return struct.pack("<Q", len(text)) + text


def write(path, content: bytes):
    path.write_bytes(content)
    return path


def changed(**values) -> ModelCard:
    return dataclasses.replace(CARD, **values)


def reshaped(**values) -> ModelCard:
    return changed(architecture=dataclasses.replace(CARD.architecture, **values))


def test_a_card_survives_the_round_trip():
    assert card_from_json(card_to_json(CARD), "pools") == CARD


def test_a_card_is_read_from_the_header_of_a_file(tmp_path):
    weights = {"w": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}}
    path = write(tmp_path / "m.safetensors", header({CARD_KEY: card_to_json(CARD)}, **weights) + bytes(4))
    assert read_card(path) == CARD


def test_the_possible_card_has_no_problems():
    assert CARD.problems() == []


def test_a_class_is_found_by_its_name_whatever_the_case():
    assert CARD.label(" POOL ") == 0
    assert CARD.label("grüner teich") == 1
    with pytest.raises(ModelError, match=r"does not know the class .roof.\. It knows .pool., .Grüner Teich."):
        CARD.label("roof")


def test_the_coarsest_level_sets_the_stride():
    assert Architecture().coarsest_stride == 128
    assert Architecture().anchors_per_cell == 9


@pytest.mark.parametrize(
    ("card", "sentence"),
    [
        (reshaped(backbone="vgg"), "The backbone 'vgg' is unknown"),
        (reshaped(backbone_stages=5), "2, 3 or 4 stages"),
        (reshaped(backbone_norm="layer"), "norm is 'batch' or 'group'"),
        (reshaped(levels=("P3", "P5"), anchor_sizes=(8.0, 16.0)), "must follow one another"),
        (reshaped(levels=(), anchor_sizes=()), "must follow one another"),
        (reshaped(levels=("Q",), anchor_sizes=(8.0,)), "must follow one another"),
        (reshaped(backbone_stages=2, levels=("P4",), anchor_sizes=(8.0,)), "finest pyramid level"),
        (reshaped(extra_levels="x"), "Extra levels"),
        (reshaped(channels=0), "Channels must lie"),
        (reshaped(head_depth=99), "Channels must lie"),
        (reshaped(head_norm="batch"), "head's norm"),
        (reshaped(anchor_sizes=(8.0,)), "one anchor size for each"),
        (reshaped(anchor_ratios=()), "must be positive numbers"),
        (reshaped(anchor_scales=(float("nan"),)), "must be positive numbers"),
        (reshaped(strides="odd"), "Strides are"),
        (changed(classes=()), "no classes"),
        (changed(classes=(ObjectClass("a"), ObjectClass("A "))), "a name of its own"),
        (changed(classes=(ObjectClass(" "),)), "a name of its own"),
        (changed(classes=(ObjectClass("a", "red"),)), "#rrggbb"),
        (changed(bands=()), "Band roles are"),
        (changed(bands=(Band("infrared"),)), "Band roles are"),
        (changed(bands=(Band("red", 5.0, 5.0),)), "low below high"),
        (changed(bands=(Band("red", std=0.0),)), "low below high"),
        (changed(resolution_m=0.0), "resolution must be a positive"),
        (changed(tile_px=100_000), "tile must lie between"),
        (changed(tile_px=-5, overlap_px=0), "tile must lie between"),
        (changed(tile_px=256, overlap_px=129), "at most half"),
        (changed(overlap_px=-1), "at most half"),
        (changed(max_detections_per_tile=0), "at least one detection"),
        (changed(threshold=1.5), "Thresholds lie"),
    ],
)
def test_an_impossible_card_is_refused_with_a_sentence(card, sentence):
    assert any(sentence in problem for problem in card.problems())
    if "nan" not in str(card).lower():
        with pytest.raises(ModelError, match="The model card of 'm' does not hold"):
            card_from_json(card_to_json(card), "m")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "not a safetensors file"),
        (b"PK\x03\x04", "not a safetensors file"),
        (b"II*\x00" + bytes(100), "not a safetensors file"),
        (struct.pack("<Q", 2**63) + b"{}", "not a safetensors file"),
        (struct.pack("<Q", 99_000_000) + b"{}", "no model card"),
        (struct.pack("<Q", 99_000_000) + b"[]", "not a safetensors file"),
        (struct.pack("<Q", 50) + b'{"__metadata__": {', "header is damaged"),
        (struct.pack("<Q", 4) + b"{\xfe\xfd\xfc", "header is damaged"),
        (struct.pack("<Q", 200_005) + b'{"a":' + b"[" * 200_000, "header is damaged"),
        (header({CARD_KEY: "NaN"}).replace(b'"NaN"', b"NaN"), "header is damaged"),
        (header([]), "no model card"),
        (header({}), "python -m core import"),
        (header({CARD_KEY: {"name": "x"}}), "no model card"),
        (header({CARD_KEY: "{"}), "is damaged"),
        (header({CARD_KEY: "[]"}), "is damaged: ModelCard must be an object"),
        (header({CARD_KEY: "[" * 100_000}), "is damaged"),
        (header({CARD_KEY: card_to_json(CARD).replace('"mean":80.0', '"mean":NaN')}), "is damaged"),
        (header({CARD_KEY: card_to_json(CARD).replace('"mean":80.0', '"mean":1e999')}), "is damaged"),
        (header({CARD_KEY: card_to_json(CARD).replace('"name":"pools"', '"run":"rm -rf /"')}), "no field 'run'"),
        (header({CARD_KEY: json.dumps({"format": FORMAT + 1, "future": True})}), "made by a newer Tilehawk"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_hostile_files_are_refused_with_a_sentence(tmp_path, content, sentence):
    path = write(tmp_path / "bad.safetensors", content)
    with pytest.raises(ModelError, match=sentence):
        read_card(path)


@pytest.mark.parametrize("name", ["missing.safetensors", "."])
def test_what_cannot_be_opened_is_named(tmp_path, name):
    with pytest.raises(ModelError, match="cannot be read"):
        read_card(tmp_path / name)


def test_cutting_a_header_anywhere_is_refused(tmp_path):
    whole = header({CARD_KEY: card_to_json(CARD)})
    for length in range(0, len(whole), 37):
        with pytest.raises(ModelError):
            read_card(write(tmp_path / "cut.safetensors", whole[:length]))
