"""Frozen dataclasses to JSON and back, strictly: an unknown, missing or mistyped field is an error."""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from typing import Any, TypeVar

T = TypeVar("T")


def encode(value: Any) -> Any:
    """Turn dataclasses, tuples and dicts into what `json.dumps` takes."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    return value


def parse(text: str | bytes) -> Any:
    """Parse JSON by the letter of its standard; raises ValueError, also for NaN, infinities and endless nesting."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError as problem:
        raise ValueError("nested too deeply") from problem


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large a number")
    return number


def decode(kind: type[T], data: Any, where: str = "") -> T:
    """Build a dataclass of `kind` from parsed JSON.

    Raises ValueError with the path of the field that does not fit.
    """
    return _decode(kind, data, where or kind.__name__)


def _decode(kind: Any, data: Any, where: str) -> Any:  # noqa: PLR0911  (one return per kind of type)
    if kind is Any:
        return data
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, data, where)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Union:
        return _decode_union(args, data, where)
    if origin is tuple:
        if not isinstance(data, (list, tuple)):
            raise ValueError(f"{where} must be a list")
        if args[-1] is Ellipsis:
            return tuple(_decode(args[0], item, f"{where}[{i}]") for i, item in enumerate(data))
        if len(data) != len(args):
            raise ValueError(f"{where} must have {len(args)} values, not {len(data)}")
        return tuple(_decode(a, item, f"{where}[{i}]") for i, (a, item) in enumerate(zip(args, data)))
    if kind is dict or origin is dict:
        if not isinstance(data, dict):
            raise ValueError(f"{where} must be an object")
        return data
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return _decode_float(data, where)
    if not isinstance(data, kind) or (kind is int and isinstance(data, bool)):
        raise ValueError(f"{where} must be of type {kind.__name__}, not {data!r:.60}")
    return data


def _decode_float(data: int, where: str) -> float:
    try:
        return float(data)
    except OverflowError as problem:
        raise ValueError(f"{where} is too large a number") from problem


def _decode_dataclass(kind: Any, data: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise ValueError(f"{where} must be an object")
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(data) - set(hints))
    if unknown:
        raise ValueError(f"{where} has no field '{unknown[0]}'")
    required = {
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    missing = sorted(required - set(data))
    if missing:
        raise ValueError(f"{where} lacks the field '{missing[0]}'")
    return kind(**{name: _decode(hints[name], value, f"{where}.{name}") for name, value in data.items()})


def _decode_union(args: tuple[Any, ...], data: Any, where: str) -> Any:
    if data is None and type(None) in args:
        return None
    problems = []
    for option in args:
        if option is not type(None):
            try:
                return _decode(option, data, where)
            except ValueError as problem:
                problems.append(str(problem))
    raise ValueError("; or ".join(problems))
