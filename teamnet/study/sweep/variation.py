"""The variations of a sweep: fields of a spec by dotted path, and the specs with varied values."""

from __future__ import annotations

import re
import types
import typing
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from teamnet.dataflow.slots import Messages
from teamnet.errors import SpecError, nearest
from teamnet.rules.loading import reference_of
from teamnet.rules.registry import built_in_rules
from teamnet.rules.rule import Rule
from teamnet.spec.change import changed
from teamnet.spec.check import check_run
from teamnet.spec.former import RENAMED
from teamnet.spec.resolve import Interface, fit_depth
from teamnet.spec.run import RunSpec, TeamSpec
from teamnet.study.sweep.ranges import EXAMPLES, Range, parse_range, types_of

_SET_BY_THE_SWEEP = types.MappingProxyType({
    "task": "It is the first argument of the command.",
    "seed": "Use --seeds for several in each trial, and --seed.",
    "episodes": "Use --episodes: trials are compared over the same length.",
    "env_steps": "Use --episodes: trials are compared over the same length.",
})


@dataclass(frozen=True)
class Place:
    """One field of a run's spec, or one element of a field that is a tuple.

    Args:
        names: from the spec down to the field, for instance ``("actor", "variances")``.
        index: of the element; ``None`` for the whole field.
        hint: the type annotation of the field or element.
    """

    names: tuple[str, ...]
    index: int | None
    hint: Any


@dataclass(frozen=True)
class Variation:
    """A variation: one or more fields, and the range of their value or of the factor by which they are scaled.

    Args:
        label: the fields as they were written, with a ``*`` at the end for a factor.
        places: the fields.
        scales: whether the range is of a factor.
        range: the values.
    """

    label: str
    places: tuple[Place, ...]
    scales: bool
    range: Range


def known_fields(rule: type[Rule], kind: type = RunSpec) -> dict[str, Any]:
    """Every value of a spec by its dotted path, with its type annotation: fields of the run, and settings of its rule.

    Args:
        rule: of the run; settings of those of this package are known too, for teams with a rule of their own.
        kind: the dataclass of the spec.
    """
    found = {}
    for name, hint in typing.get_type_hints(kind).items():
        options = types_of(hint)
        if TeamSpec in options:
            found |= {f"{name}.{path}": below for path, below in known_fields(rule, TeamSpec).items()}
        elif Messages in options:
            found |= typing.get_type_hints(Messages)
        elif Rule in options:
            for owner in (*built_in_rules().values(), rule):
                hints = typing.get_type_hints(owner)
                found |= {name: str} | {setting: hints[setting] for setting in owner().settings()}
        elif name != "function_files":
            found[name] = hint
    return found


def find_place(path: str, rule: type[Rule]) -> Place:
    """The place that a dotted path such as ``critic.rates[2]`` names.

    Raises:
        SpecError: there is no such field (the nearest is named), or the sweep sets it itself.
    """
    path = ".".join(RENAMED.get(part, part) for part in path.split("."))
    where, fields = f"vary {path}", known_fields(rule)
    matched = re.fullmatch(r"(.+)\[(\d+)\]", path)
    name, index = (matched[1], int(matched[2])) if matched else (path, None)
    if name not in fields:
        raise SpecError(where, expected="a field of the spec", found=repr(name), remedy=nearest(name, fields))
    if name in _SET_BY_THE_SWEEP:
        raise SpecError(where, expected="another field", found=repr(name), remedy=_SET_BY_THE_SWEEP[name])
    hint = fields[name]
    if index is not None:
        elements = [typing.get_args(option)[0] for option in types_of(hint) if typing.get_origin(option) is tuple]
        if not elements:
            raise SpecError(where, expected="a field that is a tuple", found=repr(name), remedy="Leave out [].")
        hint = elements[0]
    return Place(tuple(name.split(".")), index, hint)


def parse_variations(texts: Sequence[str], rule: type[Rule]) -> tuple[Variation, ...]:
    """Parse variations: ``FIELD=RANGE``, ``FIELD*=RANGE`` and ``FIELD+FIELD*=RANGE``.

    Raises:
        SpecError: a field is unknown or given twice, a range does not parse, or there is none.
    """
    if not texts:
        raise SpecError(
            "vary", expected="--vary FIELD=RANGE", found="none", remedy="For instance: --vary step_size=0.1..1"
        )
    variations = tuple(_parse(text, rule) for text in texts)
    places = Counter(place for variation in variations for place in variation.places)
    for place, count in places.items():
        if count > 1:
            raise SpecError(
                f"vary {'.'.join(place.names)}", expected="every field once", found=f"it {count} times",
                remedy="Leave one out.",
            )
    return variations


def _parse(text: str, rule: type[Rule]) -> Variation:
    label, equals, values = text.partition("=")
    if not equals:
        raise SpecError(f"vary {text}", expected="FIELD=RANGE", found=repr(text), remedy=EXAMPLES)
    label = label.strip()
    where, scales = f"vary {label}", label.endswith("*")
    places = tuple(find_place(path.strip(), rule) for path in label.removesuffix("*").split("+"))
    hints = {str(place.hint) for place in places}
    if len(hints) > 1 and not scales:
        raise SpecError(
            where, expected="fields of one type", found=", ".join(sorted(hints)), remedy="Vary them separately."
        )
    return Variation(
        label, places, scales, parse_range(where, values.strip(), float if scales else places[0].hint)
    )


def vary_spec(
    spec: RunSpec, variations: Sequence[Variation], values: Mapping[str, Any], interface: Interface
) -> RunSpec:
    """The checked spec with the values of one trial, one value for each layer that has the field.

    Args:
        spec: the spec that is varied, usually a preset.
        variations: the varied fields.
        values: of every variation, by its label.
        interface: of the task; it determines the number of layers that have a variance.

    Raises:
        SpecError: the spec is invalid with these values.
    """
    # the run's own fields first: with another number of layers the teams' values are spread before they are varied
    for of_run in (True, False):
        for variation in variations:
            for place in variation.places:
                if (len(place.names) == 1) is of_run:
                    where = f"vary {variation.label}"
                    spec = _with_value(where, spec, place, values[variation.label], scales=variation.scales)
        check_run(spec)
        spec = fit_depth(spec, interface)
    return spec


def _with_value(where: str, spec: RunSpec, place: Place, value: Any, *, scales: bool) -> RunSpec:
    """The spec with the value of a place set or scaled.

    Raises:
        SpecError: this spec has no such place, or there is no number to be scaled.
    """
    *above, name = place.names
    if above and above[0] not in spec.teams:
        raise SpecError(
            where, expected=f"a task with {above[0]}", found=f"{spec.task}, which has none",
            remedy="Vary another field.",
        )
    team = spec.teams[above[0]] if above else spec
    owners = (team, spec.messages, team.rule or spec.rule)
    old = next((getattr(owner, name) for owner in owners if hasattr(owner, name)), None)
    old = reference_of(type(old)) if isinstance(old, Rule) else old
    if place.index is not None:
        count = len(old) if isinstance(old, tuple) else 0
        if not isinstance(old, tuple) or place.index >= count:
            raise SpecError(
                where, expected=f"an index below {count}", found=str(place.index), remedy="Give a smaller one."
            )
        element = _scaled(where, old[place.index], value) if scales else value
        new: Any = (*old[: place.index], element, *old[place.index + 1 :])
    else:
        new = _scaled(where, old, value) if scales else value
    return changed(spec, **({above[0]: {name: new}} if above else {name: new}))


def _scaled(where: str, old: Any, factor: float) -> Any:
    """A number, or every number of a tuple, times ``factor``; whole numbers stay whole."""
    if isinstance(old, tuple):
        return tuple(_scaled(where, item, factor) for item in old)
    if isinstance(old, bool) or not isinstance(old, int | float):
        raise SpecError(where, expected="a number to scale", found=repr(old), remedy="Give values without the *.")
    return round(old * factor) if isinstance(old, int) else old * factor
