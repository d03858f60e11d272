"""Random streams that depend on what they are for and on nothing else."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from teamnet.spec.layers import LayerSpec, UnitSpec

_NOISE, _WEIGHTS, ENVIRONMENT, TASK = range(4)
_STATE_WORDS = 13


def keyed_generator(seed: int, *key: int) -> np.random.Generator:
    """A generator of its own for ``key``: streams of different keys are independent (Philox, Salmon et al. 2011)."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))


def initial_weights(layer: LayerSpec, number: int, fan_in: int, size: int, seed: int) -> np.ndarray:
    """Weights ``(fan_in, size)`` of layer ``number`` of a team, uniform in ``+-sqrt(6 / (in + out))``, float64."""
    limit = math.sqrt(6.0 / (fan_in + size))
    stream = keyed_generator(seed, _WEIGHTS, layer.team_number, number)
    return stream.uniform(-limit, limit, (fan_in, size))


class Noise(Protocol):
    """Where a unit's noise comes from: float64 blocks ``(steps, rows, width)``."""

    def block(self, steps: int) -> np.ndarray:
        """The noise of the next ``steps`` environment steps."""
        ...

    def rewind(self, used: int) -> None:
        """Go back to where the last block had ``used`` steps consumed."""
        ...

    def state(self) -> np.ndarray:
        """The position of every stream, uint64 ``(streams, words)``."""
        ...

    def restore(self, state: np.ndarray) -> None:
        """Go to a position that ``state`` returned."""
        ...


class KeyedNoise:
    """One stream for each neuron: standard normals, or for a categorical unit one stream of uniforms."""

    def __init__(self, unit: UnitSpec) -> None:
        layer = unit.layer
        self._uniform = layer.family == "categorical"
        self._rows = layer.rows
        neurons = range(1) if self._uniform else range(unit.start, unit.stop)
        self._streams = [keyed_generator(unit.seed, _NOISE, layer.team_number, layer.number, j) for j in neurons]
        self._before = self.state()

    def block(self, steps: int) -> np.ndarray:
        """See :class:`Noise`."""
        self._before = self.state()
        noise = np.empty((steps, self._rows, len(self._streams)))
        for j, stream in enumerate(self._streams):
            shape = (steps, self._rows)
            noise[:, :, j] = stream.random(shape) if self._uniform else stream.standard_normal(shape)
        return noise

    def rewind(self, used: int) -> None:
        """See :class:`Noise`."""
        self.restore(self._before)
        self.block(used)

    def state(self) -> np.ndarray:
        """See :class:`Noise`."""
        words = np.empty((len(self._streams), _STATE_WORDS), np.uint64)
        for row, stream in zip(words, self._streams, strict=True):
            state = stream.bit_generator.state
            row[:4], row[4:6], row[6:10] = state["state"]["counter"], state["state"]["key"], state["buffer"]
            row[10:] = state["buffer_pos"], state["has_uint32"], state["uinteger"]
        return words

    def restore(self, state: np.ndarray) -> None:
        """See :class:`Noise`."""
        for row, stream in zip(state, self._streams, strict=True):
            stream.bit_generator.state = {
                "bit_generator": "Philox",
                "state": {"counter": row[:4].copy(), "key": row[4:6].copy()},
                "buffer": row[6:10].copy(),
                "buffer_pos": int(row[10]), "has_uint32": int(row[11]), "uinteger": int(row[12]),
            }


class RecordedNoise:
    """Noise that was written down beforehand, float64 ``(steps, rows, width)``."""

    def __init__(self, noise: np.ndarray) -> None:
        self._noise, self._position, self._before = noise, 0, 0

    def block(self, steps: int) -> np.ndarray:
        """See :class:`Noise`; zeros follow after the end."""
        self._before = self._position
        known = self._noise[self._position : self._position + steps]
        self._position += steps
        missing = np.zeros((steps - len(known), *self._noise.shape[1:]))
        return np.concatenate([known, missing])

    def rewind(self, used: int) -> None:
        """See :class:`Noise`."""
        self._position = self._before + used

    def state(self) -> np.ndarray:
        """See :class:`Noise`."""
        return np.full((self._noise.shape[2], 1), self._position, np.uint64)

    def restore(self, state: np.ndarray) -> None:
        """See :class:`Noise`."""
        self._position = int(state[0, 0])
