"""The law itself: errors that break it are caught, and every remedy in the package's source keeps it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from teamnet import errors
from teamnet.errors import SpecError, TeamnetError
from tests.hostile.law import DOCUMENTED, assert_documented, is_remedy, shows

SOURCES = sorted(Path(errors.__file__).parent.rglob("*.py"))
GOOD = SpecError("seed", expected="a whole number", found="'x'", remedy="Give such a number.")


def _changed(**fields: str) -> TeamnetError:
    whole = {"where": "seed", "expected": "a whole number", "found": "'x'", "remedy": "Give such a number.", **fields}
    return SpecError(whole.pop("where"), **whole)


def test_an_error_with_all_its_fields_keeps_the_law():
    assert_documented(GOOD, ["seed"], "x")
    assert SpecError in DOCUMENTED


@pytest.mark.parametrize("error", [
    TeamnetError("seed", expected="a whole number", found="'x'", remedy="Give such a number."),
    *(_changed(**{name: empty}) for name in ("where", "expected", "found", "remedy") for empty in ("", " ")),
    _changed(where="episodes"), _changed(found="something else"), _changed(remedy="That is wrong."),
    _changed(remedy="two words"), _changed(found="x" * 6000),
])
def test_an_error_that_lacks_something_breaks_the_law(error: TeamnetError):
    with pytest.raises(AssertionError):
        assert_documented(error, ["seed"], "x")


@pytest.mark.parametrize(("text", "value", "expected"), [
    ("'abc'", "abc", True), ("123456789...", 123456789012, True), ("a list", [1, 2], True),
    ("3", [1, 3], True), ("NoneType", None, True), ("None", None, True), ("'abd'", "abc", False), ("4", [1, 3], False),
])
def test_what_shows_a_value(text: str, value: object, expected: bool):
    assert shows(text, value) is expected


def test_what_cannot_be_written_is_shown_by_its_type():
    assert shows("an int of too many digits", 10**5000)
    assert not shows("a list", 10**5000)


@pytest.mark.parametrize(("text", "expected"), [
    ("Did you mean 'map'?", True), ("Known are: a, b.", True), ("Only --rule map settles.", True),
    ("Rewards are too large: lower the rates.", True), ("Run: pip install 'teamnet[baselines]'", True),
    ("Layers are counted from 0.", False), ("for example", False), ("Runs differ.", False), ("", False),
])
def test_what_says_what_to_do(text: str, expected: bool):
    assert is_remedy(text) is expected


def _texts(node: ast.expr) -> Iterator[str]:
    """The texts that an expression can be, as far as they stand in the source."""
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
    elif isinstance(node, ast.BinOp):
        yield from (left + right for left in _texts(node.left) for right in _texts(node.right))
    elif isinstance(node, ast.IfExp):
        yield from (text for branch in (node.body, node.orelse) for text in _texts(branch))
    elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Dict):
        yield from (text for value in node.value.values for text in _texts(value))


def test_every_remedy_in_the_source_says_what_to_do():
    checked = 0
    for path in SOURCES:
        for call in ast.walk(ast.parse(path.read_text())):
            for keyword in call.keywords if isinstance(call, ast.Call) else ():
                for text in _texts(keyword.value) if keyword.arg == "remedy" else ():
                    assert is_remedy(text), f"{path}:{call.lineno}: {text}"
                    checked += 1
    assert checked > 100
