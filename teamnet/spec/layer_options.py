"""What is different in single layers: the texts of ``--layers``, such as ``2:function=tanh`` or ``3:reads=2,0``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from teamnet.errors import SpecError, nearest, shown
from teamnet.kernels.unit_types import HIDDEN_TYPES

_FORM = re.compile(r"(?:(actor|critic)\.)?(hidden|output|[1-9]\d{0,3}):(\w[\w-]*)=(.+)")
_OWN = ("function", "units", "temperature", "reads")


class _Option(NamedTuple):
    """One text: the team, ``""`` for both; the layer, a number, ``hidden`` or ``output``; name and value."""

    team: str
    layer: str
    name: str
    value: str


@dataclass(frozen=True)
class LayerOptions:
    """What a layer has of its own.

    Args:
        function: hidden function; ``None`` for that of the run.
        units: unit type.
        temperature: of units that are not Gaussian.
        reads: the layers that it reads, 0 for the observation; empty for the layer below.
        settings: of its rule, names and values as texts.
    """

    function: str | None = None
    units: str = "gaussian"
    temperature: float = 1.0
    reads: tuple[int, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()


def options_of_layer(texts: Sequence[str], team: str, number: int, depth: int) -> LayerOptions:
    """The options of one layer; of several texts for the same thing the last one counts.

    Args:
        texts: of the run.
        team: name of the layer's team.
        number: of the layer; ``depth`` is the output layer.
        depth: layers of the team.

    Raises:
        SpecError: a text has another form or value than it can have, or does not fit the layer.
    """
    found: dict[str, str] = {}
    for place, text in enumerate(texts):
        option = _parsed(text, f"layers[{place}]")
        names = {str(number), "output" if number == depth else "hidden"}
        if option.team in ("", team) and option.layer in names:
            _check_fits(option, number, depth, f"layers[{place}]")
            found[option.name] = option.value
    reads = tuple(int(text) for text in found["reads"].split(",")) if "reads" in found else ()
    settings = tuple((name, value) for name, value in found.items() if name not in _OWN)
    return LayerOptions(
        found.get("function"), found.get("units", "gaussian"), float(found.get("temperature", "1")), reads, settings
    )


def check_layer_options(texts: Sequence[str], depths: dict[str, int]) -> None:
    """Refuse texts that no layer takes, and layers that no layer reads.

    Args:
        texts: of the run.
        depths: layers of each team by its name.

    Raises:
        SpecError: naming the text.
    """
    for place, text in enumerate(texts):
        option, where = _parsed(text, f"layers[{place}]"), f"layers[{place}]"
        deepest = max((depth for team, depth in depths.items() if option.team in ("", team)), default=0)
        if not deepest or (option.layer.isdigit() and int(option.layer) > deepest):
            raise SpecError(
                where, expected=f"a layer of {option.team or 'the teams'} from 1 to {deepest}" if deepest
                else f"one of the run's teams: {', '.join(depths)}",
                found=shown(text), remedy="Name one of them.",
            )
    for team, depth in depths.items():
        layers = {number: options_of_layer(texts, team, number, depth) for number in range(1, depth + 1)}
        read = {source for number, layer in layers.items() for source in layer.reads or (number - 1,)}
        for number in range(1, depth):
            if number not in read:
                raise SpecError(
                    "layers", expected=f"a layer that reads {team} layer {number}", found="none",
                    remedy=f"Let layer {number + 1} read it: {number + 1}:reads={number},...",
                )


def _parsed(text: str, where: str) -> _Option:
    found = _FORM.fullmatch(text)
    if not found:
        raise SpecError(
            where, expected="[TEAM.]LAYER:NAME=VALUE, with a number, `hidden` or `output` as LAYER", found=shown(text),
            remedy="Write for instance 2:function=tanh, hidden:units=bernoulli or critic.3:reads=2,0.",
        )
    team, layer, name, value = found.groups()
    option = _Option(team or "", layer, name.replace("-", "_"), value)
    _check_value(option, where)
    return option


def _check_value(option: _Option, where: str) -> None:
    if option.name == "units" and option.value not in HIDDEN_TYPES:
        raise SpecError(
            where, expected=f"one of {', '.join(HIDDEN_TYPES)}", found=shown(option.value),
            remedy=nearest(option.value, HIDDEN_TYPES),
        )
    if option.name == "temperature" and not (
        re.fullmatch(r"\d*\.?\d+(e[+-]?\d{1,2})?", option.value) and float(option.value) > 0
    ):
        raise SpecError(where, expected="a number above 0", found=shown(option.value), remedy="Use 1.")
    if option.name == "reads" and not re.fullmatch(r"\d{1,4}(,\d{1,4})*", option.value):
        raise SpecError(
            where, expected="numbers of layers, 0 for the observation", found=shown(option.value),
            remedy="Write for instance reads=2,0.",
        )


def _check_fits(option: _Option, number: int, depth: int, where: str) -> None:
    if option.name in ("function", "units", "temperature") and number == depth:
        raise SpecError(
            where, expected=f"{option.name} of a hidden layer", found=f"layer {number}, the output layer",
            remedy="Leave it out: the task determines the output. Its temperature is --actor.temperature.",
        )
    if option.name == "reads":
        reads = [int(text) for text in option.value.split(",")]
        if len(set(reads)) < len(reads) or max(reads) >= number or (number == 1 and reads != [0]):
            raise SpecError(
                where, expected=f"different layers below layer {number}" if number > 1 else "0, the observation",
                found=shown(option.value),
                remedy="Let a layer read layers below it, each once; layer 1 reads the observation.",
            )
