"""Fields of a spec by dotted path: which there are, and specs with something else in them."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from teamnet.errors import SpecError, nearest
from teamnet.spec.run import RunSpec
from teamnet.study.sweep.ranges import types_of

_SET_BY_THE_SWEEP = types.MappingProxyType(
    {
        "task": "It is the first argument of the command.",
        "seed": "Use --seeds for several in each trial, and --seed.",
        "episodes": "Use --episodes: trials are compared over the same length.",
        "env_steps": "Use --episodes: trials are compared over the same length.",
    }
)


@dataclass(frozen=True)
class Place:
    """One field of a run's spec, or one element of a field that is a tuple.

    Args:
        names: from the spec down to the field, for instance ``("actor", "variances")``.
        index: of the element; ``None`` for the whole field.
        hint: the type annotation of what is there.
    """

    names: tuple[str, ...]
    index: int | None
    hint: Any


def known_fields(kind: type = RunSpec) -> dict[str, Any]:
    """Every field of a spec by its dotted path, with its type annotation."""
    found = {}
    for name, hint in typing.get_type_hints(kind).items():
        nested = [option for option in types_of(hint) if dataclasses.is_dataclass(option)]
        for option in nested:
            found |= {f"{name}.{path}": its for path, its in known_fields(typing.cast(type, option)).items()}
        if not nested:
            found[name] = hint
    return found


def find_place(path: str) -> Place:
    """The place that a dotted path such as ``critic.rates[2]`` names.

    Raises:
        SpecError: there is no such field (the nearest is named), or the sweep sets it itself.
    """
    fields = known_fields()
    name, index = path, None
    matched = re.fullmatch(r"(.+)\[(\d+)\]", path)
    if matched:
        name, index = matched[1], int(matched[2])
    if name not in fields:
        raise SpecError(f"vary {path}", expected="a field of the spec", found=repr(name), mend=nearest(name, fields))
    if name in _SET_BY_THE_SWEEP:
        raise SpecError(f"vary {path}", expected="another field", found=repr(name), mend=_SET_BY_THE_SWEEP[name])
    hint = fields[name]
    if index is not None:
        elements = [typing.get_args(option)[0] for option in types_of(hint) if typing.get_origin(option) is tuple]
        if not elements:
            raise SpecError(f"vary {path}", expected="a field that is a tuple", found=repr(name), mend="Leave out [].")
        hint = elements[0]
    return Place(tuple(name.split(".")), index, hint)


def put(where: str, spec: RunSpec, place: Place, change: Callable[[Any], Any]) -> RunSpec:
    """The spec with ``change(old)`` at a place; ``where`` is how messages call it.

    Raises:
        SpecError: this spec has no such place.
    """

    def descend(part: Any, name: str, *below: str) -> Any:
        if part is None:
            raise SpecError(
                where, expected=f"a task with {place.names[0]}", found=f"{spec.task}, which has none",
                mend="Vary another field.",
            )
        old = getattr(part, name)
        if below:
            return replace(part, **{name: descend(old, *below)})
        return replace(part, **{name: change(old) if place.index is None else at_index(old, place.index)})

    def at_index(old: Any, index: int) -> tuple[Any, ...]:
        count = len(old) if isinstance(old, tuple) else 0
        if index >= count:
            raise SpecError(
                where, expected=f"an index below {count}", found=str(index), mend="Give a smaller one."
            )
        return (*old[:index], change(old[index]), *old[index + 1 :])

    return descend(spec, *place.names)


def scale(where: str, old: Any, factor: float) -> Any:
    """A number, or every number of a tuple, times ``factor``; whole numbers stay whole.

    Raises:
        SpecError: it is not a number.
    """
    if isinstance(old, tuple):
        return tuple(scale(where, item, factor) for item in old)
    if isinstance(old, bool) or not isinstance(old, int | float):
        raise SpecError(where, expected="a number to scale", found=repr(old), mend="Give values without the *.")
    return round(old * factor) if isinstance(old, int) else old * factor
