"""Random streams that depend only on the seed and on their purpose."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from teamnet.dataflow.layers import LayerSpec, UnitSpec

_NOISE, _WEIGHTS, ENVIRONMENT, TASK, _EXPLORING, _FEEDBACK = range(6)
STATE_WORDS = 13
"""Numbers that describe the position of a random stream."""


def keyed_generator(seed: int, *key: int) -> np.random.Generator:
    """A generator of its own for ``key``: streams of different keys are independent (Philox, Salmon et al. 2011)."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))


def initial_weights(layer: LayerSpec, number: int, fan_in: int, size: int, seed: int) -> np.ndarray:
    """Weights ``(fan_in, size)`` of layer ``number`` of a team, uniform in ``+-sqrt(6 / (in + out))``, float64."""
    limit = math.sqrt(6.0 / (fan_in + size))
    stream = keyed_generator(seed, _WEIGHTS, layer.team_number, number)
    return stream.uniform(-limit, limit, (fan_in, size))


def initial_feedback(layer: LayerSpec, seed: int) -> np.ndarray:
    """Initial feedback ``(size, fan_out)`` from the layers above: a mirror of their weights, or a stream of its own."""
    if layer.rule.outgoing == "mirror":
        return np.concatenate([
            initial_weights(layer, reader.number, reader.fan_in, reader.size, seed)[
                reader.first : reader.first + layer.size
            ]
            for reader in layer.readers
        ], axis=1)
    limit = math.sqrt(6.0 / (layer.size + layer.fan_out))
    stream = keyed_generator(seed, _FEEDBACK, layer.team_number, layer.number)
    return stream.uniform(-limit, limit, (layer.size, layer.fan_out))


class Noise(Protocol):
    """The source of a unit's noise: float64 blocks ``(samples, rows, width)``."""

    def block(self, samples: int) -> np.ndarray:
        """The noise of the next ``samples`` samples."""
        ...

    def state_after(self, used: int) -> np.ndarray:
        """The position of every stream after ``used`` samples of the last block, without moving it."""
        ...

    def state(self) -> np.ndarray:
        """The position of every stream, uint64 ``(streams, words)``."""
        ...

    def restore(self, state: np.ndarray) -> None:
        """Go to a position that ``state`` returned."""
        ...


class KeyedNoise:
    """One stream for each neuron, of standard normals or of uniforms; one for each agent of a categorical layer.

    A hidden neuron that does not explore in a sample gets no noise, and so takes its mean; for an exploration
    probability between 0 and 1, a second stream of each neuron decides.
    """

    def __init__(self, unit: UnitSpec) -> None:
        layer = unit.layer
        self._unit = unit
        self._second: KeyedNoise | None = None
        self._type = layer.unit_type
        self._rows = layer.rows
        self._exploration = 1.0 if layer.is_last else layer.exploration
        neurons = range(len(layer.choices)) if layer.choices else range(unit.start, unit.stop)

        def streams(purpose: int) -> list[np.random.Generator]:
            return [keyed_generator(unit.seed, purpose, layer.team_number, layer.number, j) for j in neurons]

        self._streams = streams(_NOISE)
        self._choices = streams(_EXPLORING) if 0.0 < self._exploration < 1.0 else []
        self._before = self.state()

    def block(self, samples: int) -> np.ndarray:
        """See :class:`Noise`."""
        self._before = self.state()
        noise = np.full((samples, self._rows, len(self._streams)), self._type.no_noise)
        for j, drawn in enumerate(self._draw(samples)):
            noise[:, :, j] = drawn
        for j, stream in enumerate(self._choices):
            noise[:, :, j][stream.random(noise.shape[:2]) >= self._exploration] = self._type.no_noise
        return noise

    def _draw(self, samples: int) -> Iterator[np.ndarray]:
        """The next ``samples`` samples of each stream, ``(samples, rows)``."""
        shape = (samples, self._rows)
        for stream in self._streams if self._exploration > 0.0 else ():
            yield stream.random(shape) if self._type.uniform else stream.standard_normal(shape)

    def state_after(self, used: int) -> np.ndarray:
        """See :class:`Noise`."""
        self._second = self._second or KeyedNoise(self._unit)
        self._second.restore(self._before)
        self._second.skip(used)
        return self._second.state()

    def skip(self, samples: int) -> None:
        """Skip ``samples`` samples."""
        for _ in self._draw(samples):
            pass
        for stream in self._choices:
            stream.random((samples, self._rows))

    def state(self) -> np.ndarray:
        """See :class:`Noise`."""
        groups = [_positions(self._streams), *([_positions(self._choices)] if self._choices else [])]
        return np.concatenate(groups, axis=1)

    def restore(self, state: np.ndarray) -> None:
        """See :class:`Noise`."""
        _go_to(self._streams, state[:, :STATE_WORDS])
        _go_to(self._choices, state[:, STATE_WORDS:] if self._choices else state[:0])


def _positions(streams: list[np.random.Generator]) -> np.ndarray:
    words = np.empty((len(streams), STATE_WORDS), np.uint64)
    for row, stream in zip(words, streams, strict=True):
        state = stream.bit_generator.state
        row[:4], row[4:6], row[6:10] = state["state"]["counter"], state["state"]["key"], state["buffer"]
        row[10:] = state["buffer_pos"], state["has_uint32"], state["uinteger"]
    return words


def _go_to(streams: list[np.random.Generator], positions: np.ndarray) -> None:
    for row, stream in zip(positions, streams, strict=True):
        stream.bit_generator.state = {
            "bit_generator": "Philox",
            "state": {"counter": row[:4].copy(), "key": row[4:6].copy()},
            "buffer": row[6:10].copy(),
            "buffer_pos": int(row[10]), "has_uint32": int(row[11]), "uinteger": int(row[12]),
        }


class RecordedNoise:
    """Noise that was recorded in advance, float64 ``(samples, rows, width)``."""

    def __init__(self, noise: np.ndarray) -> None:
        self._noise, self._position, self._before = noise, 0, 0

    def block(self, samples: int) -> np.ndarray:
        """See :class:`Noise`; zeros follow after the end."""
        self._before = self._position
        known = self._noise[self._position : self._position + samples]
        self._position += samples
        missing = np.zeros((samples - len(known), *self._noise.shape[1:]))
        return np.concatenate([known, missing])

    def state_after(self, used: int) -> np.ndarray:
        """See :class:`Noise`."""
        return np.full((self._noise.shape[2], 1), self._before + used, np.uint64)

    def state(self) -> np.ndarray:
        """See :class:`Noise`."""
        return np.full((self._noise.shape[2], 1), self._position, np.uint64)

    def restore(self, state: np.ndarray) -> None:
        """See :class:`Noise`."""
        self._position = int(state[0, 0])
