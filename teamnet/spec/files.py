"""Specs as JSON: resolved values are saved with each run, and unknown keys are refused when it is loaded."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeVar

from teamnet.errors import SpecError, nearest, shown
from teamnet.kernels.user_file import source_of
from teamnet.rules.loading import find_rule, kept_rule, reference_of
from teamnet.rules.registry import built_in_rules
from teamnet.rules.rule import Rule, UnreadReference, UnreadRule
from teamnet.spec.former import renewed
from teamnet.spec.run import RunSpec

Spec = TypeVar("Spec")


def to_plain(spec: Any) -> Any:
    """A spec as JSON types: nested dictionaries, lists, numbers, strings and ``None``.

    A rule is an object with its ``name``, its ``settings``, and if it is a user's own the ``source`` of its file, and
    its ``policy_type`` unless that is the usual one.
    """
    return _plain(spec, changed=False)


def changed_values(spec: Any) -> dict[str, Any]:
    """The same without the values that are the usual ones, so that it stays the same when fields are added."""
    return _plain(spec, changed=True)


def comparable(plain: Any) -> Any:
    """JSON types of a spec without policy types, which the files of rules determine; earlier versions lack them."""
    if isinstance(plain, dict):
        return {key: comparable(value) for key, value in plain.items() if key != "policy_type"}
    return plain


def _plain(value: Any, *, changed: bool) -> Any:
    if isinstance(value, Rule):
        source = source_of(type(value))
        return {
            "name": reference_of(type(value)), "settings": _fields(value, changed=changed),
            **({"source": source.text} if source else {}),
            **({"policy_type": value.policy_type} if source and value.policy_type != Rule.policy_type else {}),
        }
    if dataclasses.is_dataclass(value):
        return _fields(value, changed=changed)
    if isinstance(value, dict):
        return {key: _plain(item, changed=changed) for key, item in value.items()}
    return [_plain(item, changed=changed) for item in value] if isinstance(value, tuple | list) else value


def _fields(value: Any, *, changed: bool) -> dict[str, Any]:
    return {
        field.name: _plain(getattr(value, field.name), changed=changed) for field in dataclasses.fields(value)
        if not changed or getattr(value, field.name) != field.default
    }


def from_plain(kind: type[Spec], plain: Any, where: str = "spec", *, execute: bool = True) -> Spec:
    """A spec from JSON types.

    Args:
        kind: of the spec.
        plain: the JSON types; those of version 0.1 too.
        where: they are, for messages.
        execute: whether the file of a user's rule is executed; a policy needs only its layers.

    Raises:
        SpecError: a key is unknown or missing, or a value has the wrong type.
    """
    if not isinstance(plain, Mapping):
        raise SpecError(where, expected="a JSON object", found=type(plain).__name__, remedy="Write {...}.")
    if kind is RunSpec:
        plain = renewed(plain)
    hints = {name: hint for name, hint in typing.get_type_hints(kind).items() if typing.get_origin(hint) is not _CLASS}
    for key in plain:
        if key not in hints:
            name = key if isinstance(key, str) else shown(key)
            raise SpecError(f"{where}.{name}", expected="a known key", found=shown(key), remedy=nearest(name, hints))
    values = {key: convert(hints[key], value, f"{where}.{key}", execute=execute) for key, value in plain.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise SpecError(where, expected="all required keys", found=str(error), remedy="Add what is missing.") from None


_CLASS = typing.ClassVar
_RULE = ("name", "settings", "source", "policy_type")


def _rule(plain: Mapping[str, Any], where: str, *, execute: bool) -> Rule:
    name, settings, source, policy_type = (plain.get(key) for key in _RULE)
    if not isinstance(name, str) or not isinstance(source, str | None) or set(plain) - {*_RULE}:
        raise SpecError(where, expected="a rule's name, settings and source", found=shown(dict(plain)),
                        remedy="Fix the value.")
    if name not in built_in_rules() and not execute:
        return UnreadReference() if policy_type == UnreadReference.policy_type else UnreadRule()
    kind = find_rule(name) if source is None else kept_rule(name, source)
    return from_plain(kind, settings, f"{where}.settings")


def convert(hint: Any, value: Any, where: str, *, execute: bool = True) -> Any:
    """A value of a type, from JSON types.

    Raises:
        SpecError: it has another type.
    """
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and type(None) in options:
        return None
    for option in options:
        if option is Rule and isinstance(value, Mapping):
            return _rule(value, where, execute=execute)
        if dataclasses.is_dataclass(option) and isinstance(option, type) and isinstance(value, Mapping):
            return from_plain(option, value, where, execute=execute)
        if typing.get_origin(option) is tuple and isinstance(value, list | tuple):
            element = typing.get_args(option)[0]
            return tuple(convert(element, item, f"{where}[{place}]") for place, item in enumerate(value))
        if option is float and isinstance(value, int | float) and not isinstance(value, bool):
            with suppress(OverflowError):  # of a whole number beyond all floats
                return float(value)
        if option in (int, str, bool) and isinstance(value, option) and isinstance(value, bool) == (option is bool):
            return value
        if typing.get_origin(option) is typing.Literal:
            return _choice(typing.get_args(option), value, where)
    raise SpecError(where, expected=getattr(hint, "__name__", str(hint)), found=shown(value), remedy="Fix the value.")


def _choice(known: tuple[Any, ...], value: Any, where: str) -> Any:
    if value in known and type(value) in map(type, known):
        return value
    raise SpecError(
        where, expected=f"one of {', '.join(map(str, known))}", found=shown(value),
        remedy=nearest(str(value), [str(choice) for choice in known]),
    )


def check_types(spec: Any, where: str = "") -> None:
    """Refuse a spec that was made in Python, where nothing checks the types of its values.

    Raises:
        SpecError: naming the field.
    """
    hints = typing.get_type_hints(type(spec))
    for field in dataclasses.fields(spec):
        hint, value = hints[field.name], getattr(spec, field.name)
        kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        if isinstance(value, Rule) and Rule in kinds:
            check_types(value, where)
        elif dataclasses.is_dataclass(value) and isinstance(value, kinds):
            check_types(value, f"{where}{field.name}." if type(None) in kinds else where)
        elif value is not None and any(map(dataclasses.is_dataclass, kinds)):
            raise SpecError(
                f"{where}{field.name}", expected=f"an object of type {field.type}", found=shown(value),
                remedy="Give such an object, or set its values with teamnet.spec.change.changed.",
            )
        else:
            convert(hint, value, f"{where}{field.name}")
