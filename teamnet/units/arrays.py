"""The private arrays of a unit, and which of them are its state between two environment steps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from teamnet.dataflow.layers import LayerSpec, UnitSpec
from teamnet.units.layout import ADAM, GROUPS, PER_NEURON

_KEPT_OF_NEURONS = ("activation", "mean", "acting_mean")

Shapes = dict[str, tuple[int, ...]]


def make_arrays(unit: UnitSpec) -> dict[str, np.ndarray]:
    """All private arrays of a unit by name, float64 zeros; those of a group of synapses as ``group.name``."""
    layer = unit.layer
    extents = {
        "rows": layer.rows, "size": unit.size, "fan_in": layer.fan_in, "fan_out": layer.fan_out,
        "traces": 0 if layer.single_step else layer.rows, "outputs": unit.size,
    }
    shapes: dict[str, tuple[str | int, ...]] = {
        **dict.fromkeys(PER_NEURON, ("rows", "size")), "ones": ("rows", 1), "value": ("rows", 1),
        "ends": (1, "size"), "action_mask": ("rows", "size"),
    }
    state = layer.rule.state()
    shapes |= {name: array.shape for name, array in state.items() if not array.of_synapses}
    arrays = {name: np.zeros(_resolved(shape, extents)) for name, shape in shapes.items()}
    if layer.unit_type.one_agent:
        arrays["ends"][:] = ends_of(layer.choices)
    if (reader := layer.only_reader) and reader.choices and "ends_above" in arrays:
        arrays["ends_above"][:] = ends_of(reader.choices)
    of_synapses = {name: array.shape for name, array in state.items() if array.of_synapses}
    of_synapses = dict.fromkeys(("value", *ADAM, "gradient"), ("inputs", "outputs")) | of_synapses
    for group, inputs in _groups(layer):
        sizes = {name: _resolved(shape, extents | {"inputs": inputs}) for name, shape in of_synapses.items()}
        arrays |= {f"{group}.{name}": array for name, array in _in_a_row(sizes).items()}
    set_initial(arrays, layer, kept=True)
    return arrays


def ends_of(choices: tuple[int, ...]) -> np.ndarray:
    """For each category of some agents, the place behind the last one of its agent; int64 ``(sum of choices,)``."""
    return np.repeat(np.cumsum(choices), choices)


def _in_a_row(shapes: Shapes) -> dict[str, np.ndarray]:
    """Arrays of zeros, contiguous in memory, as an update iterates over all of them at once."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
    parts = np.split(np.zeros(ends[-1]), ends[:-1])
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


def set_initial(arrays: Mapping[str, np.ndarray], layer: LayerSpec, *, kept: bool) -> None:
    """Write the initial values other than 0; those of arrays that are part of the state only if ``kept``."""
    arrays["ones"][:] = 1.0
    for name, array in layer.rule.state().items():
        if array.initial and (kept or not array.kept):
            for key in (f"{group}.{name}" for group in GROUPS) if array.of_synapses else (name,):
                arrays[key][:] = array.initial


CONSTANT = ("ones", "ends", "ends_above", "action_mask")
"""The arrays that no operation of a rule writes between its steps, or that the environment determines in each."""


def _groups(layer: LayerSpec) -> Iterator[tuple[str, int]]:
    """The groups of synapses and the inputs of each."""
    return zip(GROUPS, (layer.fan_in, 1, layer.fan_out if layer.rule.mirrors(layer) else 0), strict=True)


def _resolved(shape: tuple[str | int, ...], extents: dict[str, int]) -> tuple[int, ...]:
    return tuple(extent if isinstance(extent, int) else extents[extent] for extent in shape)


def kept_arrays(layer: LayerSpec) -> Shapes:
    """The names of the arrays that make up a layer's state, and their shapes for all of its neurons.

    Outgoing synapses are included only if they do not mirror those of the layers above.
    """
    extents = {
        "rows": layer.rows, "size": layer.size, "fan_in": layer.fan_in, "fan_out": layer.fan_out,
        "traces": 0 if layer.single_step else layer.rows, "outputs": layer.size,
    }
    state = {name: array for name, array in layer.rule.state().items() if array.kept}
    shapes: Shapes = {}
    for group, inputs in (("incoming", layer.fan_in), ("biases", 1)):
        for name in ("value", *ADAM):
            shapes[f"{group}.{name}"] = (inputs, layer.size)
        for name, array in state.items():
            if array.of_synapses:
                shapes[f"{group}.{name}"] = _resolved(array.shape, extents | {"inputs": inputs})
    if layer.rule.outgoing != "mirror" and layer.rule.mirrors(layer):
        shapes["outgoing.value"] = (layer.fan_out, layer.size)
    shapes |= dict.fromkeys(_KEPT_OF_NEURONS, (layer.rows, layer.size))
    shapes |= {name: _resolved(array.shape, extents) for name, array in state.items() if not array.of_synapses}
    return {name: shape for name, shape in shapes.items() if 0 not in shape}


def array_bytes(layer: LayerSpec) -> int:
    """Bytes of all synapses of a layer, their mirrors, optimiser state and traces."""
    total = 0
    state = layer.rule.state()
    extents = {"rows": layer.rows, "traces": 0 if layer.single_step else layer.rows, "outputs": layer.size}
    shapes = [array.shape for array in state.values() if array.of_synapses]
    shapes += [("inputs", "outputs")] * len(("value", *ADAM, "gradient"))
    for _, inputs in _groups(layer):
        for shape in shapes:
            total += math.prod(_resolved(shape, extents | {"inputs": inputs}))  # NumPy overflows
    return 8 * total
