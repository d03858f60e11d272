"""Plain JSON of specs, damaged at random places."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

Plain = dict[str, Any]


def deep(depth: int) -> list[Any]:
    """An empty list in a list in a list."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


NUMBERS = st.sampled_from([
    10**400, -(10**400), 2**63, 2**63 - 1, 2**40, 2**40 + 1, 1e308, -1e308, 1e200, 1e-200, 5e-324, -0.0,
    float("nan"), float("inf"), float("-inf"), 100_001, 1_000_001, 0, 1, 2, -1, 0.5, 1.0, 1.5, 3,
]) | st.integers(-3, 70) | st.floats()
WORDS = st.text(max_size=8) | st.sampled_from([
    "", "nan", "map", "map-async", "reinforce", "backprop", "jacobi", "sweeps", "descents", "mirror", "random",
    "kolen-pollack", "backprojected", "float32", "bfloat16", "int8", "target", "reward", "relu", "tanh", "logistic",
    "linear", "local", "neuron", "block:2", "block:" + "9" * 5000, "block:0", "by-team", "actor=a", "actor.²=a", "\0",
    "x" * 10_000,
])
ANYTHING = (
    NUMBERS | WORDS | st.none() | st.booleans() | st.lists(NUMBERS, max_size=5) | st.sampled_from([[[]], deep(50)])
    | st.lists(st.floats(1e-4, 1.0), min_size=1, max_size=4) | st.lists(st.integers(1, 9), max_size=3)
    | st.dictionaries(st.text(max_size=4), NUMBERS, max_size=2)
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to everything in nested objects and lists, but for the whole."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [its for key, item in inner for its in ((*path, key), *places(item, (*path, key)))]


@st.composite
def damaged(draw: st.DrawFn, whole: Plain, values: st.SearchStrategy[Any] = ANYTHING, most: int = 3) -> Plain:
    """The same with one to ``most`` values changed, taken out, added or taken from elsewhere."""
    plain = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, most))):
        paths = places(plain)
        if not paths:
            return plain
        *before, last = draw(st.sampled_from(paths))
        target = plain
        for key in before:
            target = target[key]
        how = draw(st.sampled_from(["change", "change", "change", "take out", "add", "swap"]))
        if how == "take out":
            del target[last]
        elif how == "add":
            if isinstance(target, list):
                target.insert(last, copy.deepcopy(draw(values)))
            else:
                target[draw(st.text(max_size=6)) + str(last)[:1]] = copy.deepcopy(draw(values))
        elif how == "swap":
            path = draw(st.sampled_from(paths))
            if len(path) <= len(before) + 1:
                target[last] = copy.deepcopy(_at(plain, path))
        else:
            target[last] = copy.deepcopy(draw(values))
    return plain


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    """What is at a path, or nothing where an earlier change took it away."""
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value
