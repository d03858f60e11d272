"""Find a rule by what a user calls it: a name, a file, ``module:Class`` or an entry point."""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Any

from teamnet.errors import SpecError, nearest, shown
from teamnet.kernels.user_file import Source, imported, read_source, source_of
from teamnet.rules.registry import built_in_rules
from teamnet.rules.rule import Rule

ENTRY_POINTS = "teamnet.rules"
"""The group of entry points under which other packages offer rules."""


def find_rule(reference: str) -> type[Rule]:
    """The class of a rule.

    Args:
        reference: the name of a rule of this package or of an entry point ``teamnet.rules``; the path of a file that
            ends in ``.py``, with ``:Class`` behind it if it has several; or ``module:Class``.

    Raises:
        SpecError: there is none, or its file has a mistake; with the line.
    """
    if rule := built_in_rules().get(reference):
        return rule
    path, _, name = reference.partition(".py:")
    if reference.endswith(".py") or name:
        return rule_in(read_source(f"{path}.py" if name else reference, "rule"), name)
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name == reference:
            return _imported(entry.module, entry.attr)
    module, _, name = reference.partition(":")
    if module and name:
        return _imported(module, name)
    raise SpecError(
        "rule", expected="the name of a rule, a file FILE.py, or module:Class", found=shown(reference),
        remedy=nearest(reference, built_in_rules()),
    )


def is_reference(name: str) -> bool:
    """Whether a name is that of a rule outside this package, as :func:`find_rule` takes it."""
    return name.endswith(".py") or ":" in name or any(entry.name == name for entry in entry_points(group=ENTRY_POINTS))


def reference_of(kind: type[Rule]) -> str:
    """The name under which :func:`find_rule` finds a rule: its own, ``FILE.py:Class`` or ``module:Class``."""
    if built_in_rules().get(kind.name) is kind:
        return kind.name
    source = source_of(kind)
    place = source.path if source and source.module == kind.__module__ else kind.__module__
    return f"{place}:{kind.__qualname__}"


def _imported(module: str, name: str) -> type[Rule]:
    found = imported("rule", f"{module}:{name}")
    if not (isinstance(found, type) and issubclass(found, Rule)):
        raise SpecError(
            "rule", expected="a subclass of teamnet.rules.Rule", found=repr(found), remedy="Derive it from Rule."
        )
    return found


def kept_rule(reference: str, text: str) -> type[Rule]:
    """A user's rule from the copy of its file that a run has kept.

    Args:
        reference: what it was called; see :func:`find_rule`.
        text: of the file.

    Raises:
        SpecError: see :func:`rule_in`.
    """
    place, _, name = reference.rpartition(":") if not reference.endswith(".py") else (reference, "", "")
    source = Source(text, place)
    known = sys.modules.get(place)  # of a class that Python code has given
    if known and (found := getattr(known, name, None)) and source_of(found) == source:
        return found
    return rule_in(source, name)


def with_settings(rule: Rule, settings: Sequence[tuple[str, str]]) -> Rule:
    """A rule with other settings, which are given as texts.

    Raises:
        SpecError: it has no such setting, or the value has another type.
    """
    kind = type(rule)
    hints = typing.get_type_hints(kind)
    known = {field.name: field for field in dataclasses.fields(kind)}
    values = {}
    for name, text in settings:
        if name not in known:
            raise SpecError(
                name, expected=f"a setting of {kind.__name__}", found=shown(name), remedy=nearest(name, known)
            )
        values[name] = _value(name, text, hints[name])
    return dataclasses.replace(rule, **values)


def _value(name: str, text: str, hint: Any) -> Any:
    choices = typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()
    try:
        if hint is bool:
            return {"True": True, "False": False}[text]
        if choices:
            return choices[[str(choice) for choice in choices].index(text)]
        if typing.get_origin(hint) is tuple:
            kind = typing.get_args(hint)[0]
            return tuple(kind(part) for part in text.strip("()").split(",") if part.strip())
        return hint(text)
    except (KeyError, ValueError, TypeError):
        expected = f"one of {', '.join(map(str, choices))}" if choices else getattr(hint, "__name__", str(hint))
        raise SpecError(name, expected=expected, found=shown(text), remedy="Give such a value.") from None


def rule_in(source: Source, name: str = "") -> type[Rule]:
    """The rule that a file defines.

    Args:
        source: the file.
        name: of the class; may be left out if there is one only.

    Raises:
        SpecError: there is none, or several; or see :meth:`teamnet.kernels.user_file.Source.load`.
    """
    module = source.load()
    found = {
        kind.__name__: kind for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Rule) and kind.__module__ == module.__name__
    }
    if name in found:
        return found[name]
    if len(found) == 1 and not name:
        return next(iter(found.values()))
    raise SpecError(
        source.path, expected=f"a subclass of teamnet.rules.Rule called {name}" if name else "one subclass of Rule",
        found=", ".join(found) or "none", remedy="Name one: FILE.py:Class." if found else "Derive a class from Rule.",
    )
