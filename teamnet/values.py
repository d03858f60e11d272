"""Refusals of single values: names, numbers and counts."""

from __future__ import annotations

import math
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from teamnet.errors import SpecError, nearest, shown


def choices(kind: type, field: str) -> tuple[str, ...]:
    """The values that a field of a dataclass may have; none if its type does not name them."""
    hint = typing.get_type_hints(kind)[field]
    return typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()


def plain_number(value: Any) -> Any:
    """A number of NumPy as one of Python, and an array as a tuple, also within mappings and tuples."""
    if isinstance(value, Mapping):
        return {name: plain_number(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return tuple(plain_number(each) for each in value)
    if not (hasattr(value, "dtype") and hasattr(value, "tolist")):
        return value
    plain = value.tolist()
    return tuple(plain) if isinstance(plain, list) else plain


def check_choice(where: str, value: str, known: Sequence[str]) -> None:
    """Refuse a name that is not among the known ones.

    Raises:
        SpecError: naming the nearest known one.
    """
    if value not in known:
        remedy = nearest(str(value), known)
        raise SpecError(where, expected=f"one of {', '.join(known)}", found=shown(value), remedy=remedy)


def check_number(where: str, value: float, expected: str, right: bool, remedy: str) -> None:
    """Refuse what is no finite number, or not ``right``.

    Raises:
        SpecError: saying what was expected and how to fix it.
    """
    if not right or isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SpecError(where, expected=expected, found=shown(value), remedy=remedy)


def check_count(where: str, value: int, least: int, most: int = 2**40) -> None:
    """Refuse what is not a whole number in a range.

    Raises:
        SpecError: naming the range.
    """
    right = isinstance(value, int) and least <= value <= most
    check_number(where, value, f"a whole number from {least} to {most}", right, "Give such a number.")
