"""Ranges of values, as they are written on the command line: ``0.1..2``, ``log:1e-4..1e-1``, ``softplus,relu``."""

from __future__ import annotations

import math
import types
import typing
from dataclasses import dataclass
from typing import Any

from teamnet.errors import SpecError

EXAMPLES = "Write for instance 0.1..2, log:1e-4..1e-1, 5..20 or softplus,relu (for tuples 64/32,128/64)."


@dataclass(frozen=True)
class Interval:
    """All numbers from ``low`` to ``high``, both included.

    Args:
        low, high: the bounds, ``low < high``; above 0 if ``log``.
        whole: whether only whole numbers are meant.
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
        # rounding of exp and log may leave the interval by a bit
        value = min(max(value, self.low), self.high)
        return math.floor(value) if self.whole else value


@dataclass(frozen=True)
class Choice:
    """Some values, all equally likely; of any type."""

    values: tuple[Any, ...]

    def at(self, share: float) -> Any:
        """The value number ``floor(share * count)``."""
        return self.values[min(int(share * len(self.values)), len(self.values) - 1)]


Range = Interval | Choice


def parse_range(where: str, text: str, hint: Any) -> Range:
    """The range that ``text`` describes, of values of the type ``hint``.

    Args:
        where: how messages call the range.
        text: ``a..b``, ``log:a..b`` or ``a,b,c``.
        hint: a type annotation, for instance ``float | None`` or ``tuple[int, ...]``.

    Raises:
        SpecError: it does not parse, or is empty; examples are named.
    """
    logarithmic = text.startswith("log:")
    body = text.removeprefix("log:")
    if ".." in body:
        return _parse_interval(where, text, body, hint, log=logarithmic)
    if logarithmic:
        raise _refusal(where, "log: before two bounds", text)
    values = tuple(_parse_value(where, item.strip(), hint) for item in body.split(","))
    if len(set(values)) < len(values):
        raise _refusal(where, "values that differ", text)
    return Choice(values)


def _refusal(where: str, expected: str, found: str) -> SpecError:
    return SpecError(where, expected=expected, found=repr(found), mend=EXAMPLES)


def types_of(hint: Any) -> tuple[Any, ...]:
    """The types that an annotation such as ``float | None`` allows."""
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def _parse_interval(where: str, text: str, body: str, hint: Any, *, log: bool) -> Interval:
    options = types_of(hint)
    if not {int, float} & set(options):
        raise _refusal(where, "values to choose from, because this is not a number", text)
    whole = float not in options
    first, _, second = body.partition("..")
    low, high = (_parse_value(where, bound.strip(), int if whole else float) for bound in (first, second))
    if not low < high:
        raise _refusal(where, "a lower bound that is less than the upper one", text)
    if log and low <= 0:
        raise _refusal(where, "bounds above 0 for log:", text)
    return Interval(low, high, whole, log)


def _parse_value(where: str, text: str, hint: Any) -> Any:
    for option in types_of(hint):
        if option is type(None) and text == "none":
            return None
        if option is bool and text in ("true", "false"):
            return text == "true"
        if option is str and text:
            return text
        if typing.get_origin(option) is tuple:
            element = typing.get_args(option)[0]
            return tuple(_parse_value(where, item.strip(), element) for item in text.split("/"))
        if option in (int, float):
            try:
                value = option(text)
            except ValueError:
                continue
            if math.isfinite(value):
                return value
    raise _refusal(where, f"a value of type {getattr(hint, '__name__', hint)}", text)


def show(value: Any) -> str:
    """A value as it is written on the command line, numbers with four digits."""
    if isinstance(value, list | tuple):
        return "/".join(show(item) for item in value)
    if value is None:
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
