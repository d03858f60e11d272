"""The state of whole layers from that of their units, and back; it does not depend on the grain."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from teamnet.spec.layers import LayerSpec, UnitSpec
from teamnet.units.unit import Snapshot

State = dict[str, np.ndarray]
"""Arrays of all layers by ``team.layer.name``, for instance ``actor.1.incoming.value`` of shape ``(in, out)``."""


def _key(layer: LayerSpec, name: str) -> str:
    return f"{layer.team}.{layer.number}.{name}"


def merge(units: Sequence[UnitSpec], snapshots: Sequence[Snapshot]) -> State:
    """Put the snapshots of all units, in canonical order, together to layers."""
    parts: dict[str, list[np.ndarray]] = {}
    for unit, snapshot in zip(units, snapshots, strict=True):
        for name, array in snapshot.items():
            parts.setdefault(_key(unit.layer, name), []).append(array)
    state = {}
    for key, arrays in parts.items():
        if key.endswith("counters"):
            state[key] = arrays[0]
        else:
            state[key] = np.ascontiguousarray(np.concatenate(arrays, axis=0 if key.endswith("noise") else -1))
    return state


def split(units: Sequence[UnitSpec], state: Mapping[str, np.ndarray]) -> list[tuple[Snapshot, Snapshot]]:
    """Each unit's own snapshot and the synapses of the layer above that leave it: the inverse of :func:`merge`."""
    return [(_own(unit, state), _above(unit, state)) for unit in units]


def _own(unit: UnitSpec, state: Mapping[str, np.ndarray]) -> Snapshot:
    prefix = _key(unit.layer, "")
    neurons = slice(unit.start, unit.stop)
    own = {}
    for key, array in state.items():
        if key.startswith(prefix):
            name = key.removeprefix(prefix)
            if name == "noise":
                own[name] = array if unit.layer.family == "categorical" else array[neurons]
            else:
                own[name] = array if name == "counters" else array[..., neurons]
    return own


def _above(unit: UnitSpec, state: Mapping[str, np.ndarray]) -> Snapshot:
    prefix = f"{unit.layer.team}.{unit.layer.number + 1}.incoming."
    neurons = slice(unit.start, unit.stop)
    return {
        key.removeprefix(prefix): array[..., neurons, :] for key, array in state.items() if key.startswith(prefix)
    }


def digest(teams: Sequence[Sequence[LayerSpec]], state: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over all parameters in canonical order (team, layer: weights, then biases) as little-endian float64."""
    parameters = hashlib.sha256()
    for team in teams:
        for layer in team:
            for group in ("incoming", "biases"):
                parameters.update(state[_key(layer, f"{group}.value")].astype("<f8").tobytes())
    return parameters.hexdigest()
