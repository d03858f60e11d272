"""Ranges of values, as they are written on the command line: ``0.1..2``, ``log:1e-4..1e-1``, ``softplus,relu``."""

from __future__ import annotations

import math
import types
import typing
from dataclasses import dataclass
from typing import Any

from teamnet.errors import SpecError

EXAMPLES = "Write for instance 0.1..2, log:1e-4..1e-1, 5..20 or softplus,relu (for tuples 64/32,128/64)."
_WORDS = types.MappingProxyType({"none": None, "true": True, "false": False})


@dataclass(frozen=True)
class Interval:
    """All numbers from ``low`` to ``high``, both included.

    Args:
        low, high: the bounds, ``low < high``; above 0 if ``log``.
        whole: whether the interval has whole numbers only.
        log: whether equal ratios, not equal differences, are equally likely.
    """

    low: float
    high: float
    whole: bool = False
    log: bool = False

    def at(self, share: float) -> Any:
        """The value below which ``share`` (0 to 1) of the values lie; rises with ``share``."""
        high = self.high + 1 if self.whole else self.high
        if self.log:
            value = math.exp(math.log(self.low) + share * (math.log(high) - math.log(self.low)))
        else:
            value = self.low + share * (high - self.low)
        value = min(max(value, self.low), self.high)  # exp and log are rounded
        return math.floor(value) if self.whole else value


@dataclass(frozen=True)
class Choice:
    """Some values, all equally likely; of any type."""

    values: tuple[Any, ...]

    def at(self, share: float) -> Any:
        """The value number ``floor(share * count)``."""
        return self.values[min(int(share * len(self.values)), len(self.values) - 1)]


Range = Interval | Choice


def types_of(hint: Any) -> tuple[Any, ...]:
    """The types that an annotation such as ``float | None`` allows."""
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def parse_range(where: str, text: str, hint: Any) -> Range:
    """The range that ``text`` describes, of values of the type ``hint``.

    Args:
        where: the name of the range in messages.
        text: ``a..b``, ``log:a..b`` or ``a,b,c``.
        hint: a type annotation, for instance ``float | None`` or ``tuple[int, ...]``.

    Raises:
        SpecError: it does not parse, or is empty; the message has examples.
    """
    body, log, kinds = text.removeprefix("log:"), text.startswith("log:"), types_of(hint)
    if ".." not in body:
        values = tuple(_parse_value(where, item.strip(), hint) for item in body.split(","))
        _check(where, not log, "log: before two bounds", text)
        _check(where, len(set(values)) == len(values), "values that differ", text)
        return Choice(values)
    numeric, whole = bool({int, float} & set(kinds)), float not in kinds
    _check(where, numeric, "values to choose from, because this is not a number", text)
    low, high = (_parse_value(where, bound.strip(), int if whole else float) for bound in body.split("..", 1))
    _check(where, low < high, "a lower bound that is less than the upper one", text)
    _check(where, low > 0 or not log, "bounds above 0 for log:", text)
    return Interval(low, high, whole, log)


def _check(where: str, right: bool, expected: str, found: str) -> None:
    if not right:
        raise SpecError(where, expected=expected, found=repr(found), remedy=EXAMPLES)


def _parse_value(where: str, text: str, hint: Any) -> Any:
    for kind in types_of(hint):
        if kind in (bool, type(None)) and isinstance(_WORDS.get(text, ""), kind):
            return _WORDS[text]
        if kind is str and text:
            return text
        if typing.get_origin(kind) is typing.Literal and text in typing.get_args(kind):
            return text
        if typing.get_origin(kind) is tuple:
            element = typing.get_args(kind)[0]
            return tuple(_parse_value(where, item.strip(), element) for item in text.split("/"))
        if kind in (int, float):
            try:
                value = kind(text)
            except ValueError:
                continue
            if math.isfinite(value):
                return value
    raise SpecError(
        where, expected=f"a value of type {getattr(hint, '__name__', hint)}", found=repr(text), remedy=EXAMPLES
    )


def show(value: Any) -> str:
    """A value as it is written on the command line, numbers with four digits."""
    if isinstance(value, list | tuple):
        return "/".join(show(item) for item in value)
    texts = {None: "none", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return texts[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)
