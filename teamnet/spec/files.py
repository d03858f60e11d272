"""Specs as JSON: resolved values are saved with each run, and unknown keys are refused when it is loaded."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeVar

from teamnet.errors import SpecError, nearest, shown

Spec = TypeVar("Spec")


def to_plain(spec: Any) -> dict[str, Any]:
    """A spec as JSON types: nested dictionaries, lists, numbers, strings and ``None``."""
    return _plain(dataclasses.asdict(spec))


def changed_values(spec: Any) -> dict[str, Any]:
    """The same without the values that are the usual ones, so that it stays the same when fields are added."""
    changed = {}
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        if value != field.default:
            changed[field.name] = changed_values(value) if dataclasses.is_dataclass(value) else _plain(value)
    return changed


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def from_plain(kind: type[Spec], plain: Any, where: str = "spec") -> Spec:
    """A spec from JSON types.

    Raises:
        SpecError: a key is unknown or missing, or a value has the wrong type.
    """
    if not isinstance(plain, Mapping):
        raise SpecError(where, expected="a JSON object", found=type(plain).__name__, remedy="Write {...}.")
    hints = typing.get_type_hints(kind)
    for key in plain:
        if key not in hints:
            name = key if isinstance(key, str) else shown(key)
            raise SpecError(f"{where}.{name}", expected="a known key", found=shown(key), remedy=nearest(name, hints))
    values = {key: _convert(hints[key], value, f"{where}.{key}") for key, value in plain.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise SpecError(where, expected="all required keys", found=str(error), remedy="Add what is missing.") from None


def _convert(hint: Any, value: Any, where: str) -> Any:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and type(None) in options:
        return None
    for option in options:
        if dataclasses.is_dataclass(option) and isinstance(option, type) and isinstance(value, Mapping):
            return from_plain(option, value, where)
        if typing.get_origin(option) is tuple and isinstance(value, list | tuple):
            element = typing.get_args(option)[0]
            return tuple(_convert(element, item, f"{where}[{place}]") for place, item in enumerate(value))
        if option is float and isinstance(value, int | float) and not isinstance(value, bool):
            with suppress(OverflowError):  # of a whole number beyond all floats
                return float(value)
        if option in (int, str, bool) and isinstance(value, option) and isinstance(value, bool) == (option is bool):
            return value
    raise SpecError(where, expected=getattr(hint, "__name__", str(hint)), found=shown(value), remedy="Fix the value.")


def check_types(spec: Any, where: str = "") -> None:
    """Refuse a spec that was made in Python, where nothing checks the types of its values.

    Raises:
        SpecError: naming the field.
    """
    hints = typing.get_type_hints(type(spec))
    for field in dataclasses.fields(spec):
        hint, value = hints[field.name], getattr(spec, field.name)
        if dataclasses.is_dataclass(value) and isinstance(value, typing.get_args(hint)):
            check_types(value, f"{where}{field.name}.")
        else:
            _convert(hint, value, f"{where}{field.name}")
