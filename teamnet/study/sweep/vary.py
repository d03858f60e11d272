"""What is varied in a sweep, and the specs of its trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from teamnet.errors import SpecError
from teamnet.spec.check import check_run
from teamnet.spec.resolve import Interface, fit_depth
from teamnet.spec.run import RunSpec
from teamnet.study.sweep.fields import Place, find_place, put, scale
from teamnet.study.sweep.ranges import EXAMPLES, Range, parse_range


@dataclass(frozen=True)
class Variation:
    """What is varied: one or more fields, and the range of their value or of the factor by which they are scaled.

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


def parse_variations(texts: Sequence[str]) -> tuple[Variation, ...]:
    """What ``FIELD=RANGE``, ``FIELD*=RANGE`` and ``FIELD+FIELD*=RANGE`` ask for.

    Raises:
        SpecError: a field is unknown or given twice, a range does not parse, or there is none.
    """
    variations = []
    for text in texts:
        label, equals, values = text.partition("=")
        if not equals:
            raise SpecError(f"vary {text}", expected="FIELD=RANGE", found=repr(text), mend=EXAMPLES)
        label = label.strip()
        scales = label.endswith("*")
        places = tuple(find_place(path.strip()) for path in label.removesuffix("*").split("+"))
        hints = {str(place.hint) for place in places}
        if len(hints) > 1 and not scales:
            raise SpecError(
                f"vary {label}", expected="fields of one type", found=", ".join(sorted(hints)), mend="Vary them apart."
            )
        hint = float if scales else places[0].hint
        variations.append(Variation(label, places, scales, parse_range(f"vary {label}", values.strip(), hint)))
    _check_once(variations)
    return tuple(variations)


def _check_once(variations: Sequence[Variation]) -> None:
    if not variations:
        raise SpecError(
            "vary", expected="--vary FIELD=RANGE", found="none", mend="For instance: --vary step_size=0.1..1"
        )
    places = [place for variation in variations for place in variation.places]
    for place in places:
        if places.count(place) > 1:
            raise SpecError(
                f"vary {'.'.join(place.names)}", expected="every field once", found="it twice", mend="Leave one out."
            )


def vary_spec(
    spec: RunSpec, variations: Sequence[Variation], values: Mapping[str, Any], interface: Interface
) -> RunSpec:
    """The spec with the values of one trial, one value for each layer that has it, and checked.

    Args:
        spec: what is varied, usually a preset.
        variations: what may be varied.
        values: of every variation, by its label.
        interface: of the task; it says how many layers have a variance.

    Raises:
        SpecError: the spec makes no sense with these values.
    """
    # the run's own fields first: with another number of layers the teams' values are spread before they are varied
    for own in (True, False):
        for variation in variations:
            for place in variation.places:
                if (len(place.names) == 1) is own:
                    spec = put(f"vary {variation.label}", spec, place, _change(variation, values[variation.label]))
        check_run(spec)
        spec = fit_depth(spec, interface)
    return spec


def _change(variation: Variation, value: Any) -> Callable[[Any], Any]:
    if variation.scales:
        return lambda old: scale(f"vary {variation.label}", old, value)
    return lambda old: value
