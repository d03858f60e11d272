"""Convert between the state of whole layers and that of their units; the former is independent of the granularity."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from teamnet.dataflow.layers import LayerSpec, UnitSpec
from teamnet.errors import CheckpointError, Diverged, shown
from teamnet.units.arrays import kept_arrays
from teamnet.units.streams import STATE_WORDS
from teamnet.units.unit import Snapshot

State = dict[str, np.ndarray]
"""Arrays of all layers by ``team.layer.name``, for instance ``actor.1.incoming.value`` of shape ``(in, out)``."""


_MOST_STEPS = 2**62
_LAST_WORDS = (4, 1, 2**32 - 1)
"""The maxima of the last state words of a stream."""


def _key(layer: LayerSpec, name: str) -> str:
    return f"{layer.team}.{layer.number}.{name}"


def merge(units: Sequence[UnitSpec], snapshots: Sequence[Snapshot], *, check: bool = True) -> State:
    """Merge the snapshots of all units, in canonical order, into layers.

    Args:
        units: all units.
        snapshots: the snapshot of each unit.
        check: whether all numbers have to be finite.

    Raises:
        Diverged: a number is not finite, which a unit that publishes finite activations does not notice by itself.
    """
    parts: dict[str, list[np.ndarray]] = {}
    for unit, snapshot in zip(units, snapshots, strict=True):
        for name, array in snapshot.items():
            if check and not np.isfinite(array).all():
                raise Diverged(
                    f"{unit.name}, step {snapshot['counters'][0]}", expected=f"finite numbers in {name}",
                    found="NaN or infinity",
                    remedy="Rewards or values are too large: set reward_limit or lower the learning rates.",
                )
            parts.setdefault(_key(unit.layer, name), []).append(array)
    state = {}
    for key, arrays in parts.items():
        if key.endswith("counters"):
            state[key] = arrays[0]
        else:
            state[key] = np.ascontiguousarray(np.concatenate(arrays, axis=0 if key.endswith("noise") else -1))
    return state


def split(units: Sequence[UnitSpec], state: Mapping[str, np.ndarray]) -> list[tuple[Snapshot, Snapshot]]:
    """Each unit's snapshot and the synapses from it to the layers above: the inverse of :func:`merge`.

    Raises:
        CheckpointError: the state does not belong to these units.
    """
    layers = list(dict.fromkeys(unit.layer for unit in units))
    many = set(state).difference(_key(layer, name) for layer in layers for name in _names(layer))
    for name in sorted(many):
        raise _unfit(f"array {name!r}", "one array for each of the layer's quantities", "an extra array")
    check_layers(layers, state)
    if len({int(state[_key(layer, "counters")][0]) for layer in layers if not layer.rule.runs_free}) > 1:
        raise _unfit("counters", "one number of steps", "several")
    return [(_own(unit, state), outgoing_of(unit, state)) for unit in units]


def check_layers(layers: Sequence[LayerSpec], state: Mapping[str, np.ndarray]) -> None:
    """Refuse a state that does not fit these layers.

    Raises:
        CheckpointError: an array is missing, or has an invalid shape, type or content.
    """
    for layer in layers:
        for name in _names(layer):
            if _key(layer, name) not in state:
                raise _unfit(_key(layer, name), "one array for each of the layer's quantities", "none")
        _check_layer(layer, state)


def _names(layer: LayerSpec) -> tuple[str, ...]:
    return *kept_arrays(layer), "noise", "counters"


def _unfit(name: str, expected: str, found: str) -> CheckpointError:
    return CheckpointError(name, expected=expected, found=found, remedy="Use the checkpoint before it.")


def _check_layer(layer: LayerSpec, state: Mapping[str, np.ndarray]) -> None:
    """Refuse arrays of other shapes and types, numbers that are not finite, and invalid stream positions."""
    for name, shape in kept_arrays(layer).items():
        array = state[_key(layer, name)]
        if array.shape != shape or array.dtype != np.float64 or not np.isfinite(array).all():
            raise _unfit(_key(layer, name), f"finite float64 {shape}", f"{array.dtype} {array.shape}")
    counters, noise = (state[_key(layer, name)] for name in ("counters", "noise"))
    if counters.shape != (2,) or counters.dtype != np.uint64 or counters.max() > _MOST_STEPS:
        raise _unfit(_key(layer, "counters"), "the numbers of steps and updates", shown(counters.tolist()))
    streams = len(layer.choices) or layer.size
    words = STATE_WORDS * (2 if 0.0 < layer.exploration < 1.0 and not layer.is_last else 1)
    recorded = noise.shape[1:] == (1,)  # recorded noise has only a position
    if noise.dtype != np.uint64 or noise.shape not in ((streams, words), (streams, 1)) or (
        not recorded
        and (noise.reshape(-1, STATE_WORDS)[:, -len(_LAST_WORDS) :] > np.array(_LAST_WORDS, np.uint64)).any()
    ):
        raise _unfit(_key(layer, "noise"), f"the positions of {streams} streams", f"{noise.dtype} {noise.shape}")


def _own(unit: UnitSpec, state: Mapping[str, np.ndarray]) -> Snapshot:
    prefix = _key(unit.layer, "")
    neurons = slice(unit.start, unit.stop)
    own = {}
    for key, array in state.items():
        if key.startswith(prefix):
            name = key.removeprefix(prefix)
            if name == "noise":
                own[name] = array if unit.layer.unit_type.one_agent else array[neurons]
            else:
                own[name] = array if name == "counters" else array[..., neurons]
    return own


def outgoing_of(unit: UnitSpec, state: Mapping[str, np.ndarray]) -> Snapshot:
    """The outgoing synapses of a unit, as the layers above store them: ``(.., size, fan_out)`` by name."""
    found: dict[str, list[np.ndarray]] = {}
    for reader in unit.layer.readers:
        prefix = f"{unit.layer.team}.{reader.number}.incoming."
        rows = slice(reader.first + unit.start, reader.first + unit.stop)
        for key, array in state.items():
            if key.startswith(prefix):
                found.setdefault(key.removeprefix(prefix), []).append(array[..., rows, :])
    return {name: np.concatenate(arrays, axis=-1) for name, arrays in found.items()}


def digest(teams: Sequence[Sequence[LayerSpec]], state: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over all parameters in canonical order (team, layer: weights, then biases) as little-endian float64."""
    parameters = hashlib.sha256()
    for team in teams:
        for layer in team:
            for group in ("incoming", "biases"):
                parameters.update(state[_key(layer, f"{group}.value")].astype("<f8").tobytes())
    return parameters.hexdigest()
