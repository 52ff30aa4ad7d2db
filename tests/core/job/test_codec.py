from dataclasses import dataclass, field
from typing import Any, Optional, Union

import pytest

from core.job.codec import decode, encode, parse


@dataclass(frozen=True)
class Leaf:
    name: str
    weight: float = 1.0


@dataclass(frozen=True)
class Tree:
    leaves: tuple[Leaf, ...]
    pair: tuple[int, str]
    height: Union[float, str, None] = None
    count: Optional[int] = None
    tall: bool = False
    notes: dict[str, Any] = field(default_factory=dict)


TREE = Tree((Leaf("a"), Leaf("ä", 2.5)), (3, "x"), "tall", 7, True, {"k": [1, None]})


def test_a_value_survives_the_round_trip():
    assert decode(Tree, encode(TREE)) == TREE


def test_defaults_need_not_be_given():
    assert decode(Tree, {"leaves": [], "pair": [1, "y"]}) == Tree((), (1, "y"))


def test_a_whole_number_is_a_float_where_a_float_is_asked():
    leaf = decode(Leaf, {"name": "a", "weight": 2})
    assert leaf.weight == 2.0 and isinstance(leaf.weight, float)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ([], "Tree must be an object"),
        ({"pair": [1, "y"]}, "Tree lacks the field 'leaves'"),
        ({"leaves": [], "pair": [1, "y"], "extra": 1}, "Tree has no field 'extra'"),
        ({"leaves": {}, "pair": [1, "y"]}, "Tree.leaves must be a list"),
        ({"leaves": [{"name": 1}], "pair": [1, "y"]}, r"Tree.leaves\[0\].name must be of type str, not 1"),
        ({"leaves": [], "pair": [1]}, "Tree.pair must have 2 values, not 1"),
        ({"leaves": [], "pair": [True, "y"]}, r"Tree.pair\[0\] must be of type int"),
        ({"leaves": [], "pair": [1.0, "y"]}, r"Tree.pair\[0\] must be of type int"),
        ({"leaves": [], "pair": [1, "y"], "height": []}, "Tree.height must be of type float"),
        ({"leaves": [], "pair": [1, "y"], "tall": 1}, "Tree.tall must be of type bool"),
        ({"leaves": [], "pair": [1, "y"], "notes": []}, "Tree.notes must be an object"),
        ({"leaves": [{"name": "a", "weight": 10**400}], "pair": [1, "y"]}, "weight is too large a number"),
    ],
)
def test_what_does_not_fit_is_named(data, sentence):
    with pytest.raises(ValueError, match=sentence):
        decode(Tree, data)


@pytest.mark.parametrize("text", ["NaN", "[1, Infinity]", "[" * 100_000, "", "{", '{"a": 1,}', b"\xff\xfe\x00"])
def test_only_json_is_parsed(text):
    with pytest.raises(ValueError):
        parse(text)
