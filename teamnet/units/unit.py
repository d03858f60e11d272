"""A unit: private arrays, and the record through which compiled steps reach them and the slots of the board."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from teamnet.errors import StepInterrupted
from teamnet.kernels.constants import (
    BETA1,
    BETA2,
    CATEGORICAL,
    CORRECTED_UPDATES,
    GAUSSIAN,
    HIDDEN_FUNCTIONS,
    TIMED_EVERY,
    WIRE_FORMATS,
)
from teamnet.spec.layers import LayerSpec, Rate, UnitSpec
from teamnet.units.layout import LEDGER, PHASE, STATE, SYNAPSES, UNIT
from teamnet.units.schedules import schedule_of
from teamnet.units.streams import KeyedNoise, Noise, feedback_weights, initial_weights

Snapshot = dict[str, np.ndarray]
"""Arrays of one unit whose last axis counts its neurons, float64, and its ``noise`` and ``counters``, uint64."""

_GROUPS = ("incoming", "biases", "outgoing")
_SHOWN = ("activation", "mean", "acting_mean")


class Unit:
    """The agent of some neurons of one layer.

    Its parameters, optimiser state and traces stay here: they leave through :meth:`snapshot` alone. ``record`` is what
    compiled steps get, an array of one ``UNIT``.

    Args:
        spec: which neurons, and all that they know of themselves.
        noise: where the unit's noise comes from; its own keyed streams if not given.
    """

    def __init__(self, spec: UnitSpec, noise: Noise | None = None) -> None:
        layer, size, rows = spec.layer, spec.size, spec.layer.rows
        traces = 0 if layer.single_step else rows
        depth = len(SYNAPSES) + traces
        self.spec = spec
        self._noise = noise or KeyedNoise(spec)
        self._block = np.zeros(0)
        self._synapses = {
            "incoming": np.zeros((depth, layer.fan_in, size)),
            "biases": np.zeros((depth, 1, size)),
            "outgoing": np.zeros((depth, 0 if layer.ships else layer.fan_out, size)),
        }
        self._state = np.zeros((len(STATE), rows, size))
        self._scratch = {
            "transposed": np.zeros((size, layer.fan_in)) if layer.ships else np.zeros(0),
            "unsaid_products": np.zeros((rows, layer.fan_in)),
            "signalled_above": np.zeros((rows, layer.fan_out)), "ones": np.ones(rows), "decay": np.zeros(rows),
            "noted_below": np.zeros((rows, layer.fan_in)), "noted_above": np.zeros((rows, layer.fan_out)),
            "noted_gate": np.zeros(rows),
        }
        self._schedule = np.array([tuple(phase) for phase in schedule_of(layer)], PHASE)
        self._laps = np.zeros((len(self._schedule), 4), np.int64)
        self.record = np.zeros(1, UNIT)
        self._describe()
        own = initial_weights(layer, layer.number, layer.fan_in, layer.size, spec.seed)
        self._synapses["incoming"][0] = own[:, spec.start : spec.stop]
        self._transpose()
        if self._mirrors:
            above = feedback_weights(layer, spec.seed)
            self._synapses["outgoing"][0] = above[spec.start : spec.stop].T

    def _describe(self) -> None:
        layer = self.spec.layer
        fixed = layer.feedback == "random"
        rate_above = Rate(0.0, 0.0) if fixed else layer.rate_above
        values = {
            "rows": layer.rows, "fan_in": layer.fan_in, "size": self.spec.size, "fan_out": layer.fan_out,
            "offset": self.spec.start, "layer_size": layer.size,
            "first_layer": layer.is_first, "last_layer": layer.is_last,
            "function": HIDDEN_FUNCTIONS[layer.function],
            "family": CATEGORICAL if layer.family == "categorical" else GAUSSIAN,
            "gated": layer.gated, "single_step": layer.single_step, "entropy": layer.entropy,
            "channels": layer.channels, "mirrors": self._mirrors, "ships": layer.ships,
            "acting_steps": layer.acting_steps, "settle_steps": layer.settle_steps, "phases": len(self._schedule),
            "variance": layer.variance, "temperature": layer.temperature, "step_size": layer.step_size,
            "trace_decay": layer.trace_decay, "rate_start": layer.rate.start, "rate_end": layer.rate.end,
            "rate_above_start": rate_above.start, "rate_above_end": rate_above.end,
            "wire": WIRE_FORMATS[layer.wire], "error_feedback": layer.error_feedback,
            "forgetting": 0.0 if layer.is_first else layer.forgetting,
            "forgetting_above": 0.0 if fixed else layer.forgetting,
            "still_activation": -1.0 if layer.is_last else _still(layer, _deviation(layer)),
            "still_error": _still(layer, 1.0 / _deviation(layer)),
            "timed_mask": TIMED_EVERY - 1, "anneal_steps": layer.rate.steps, "power1": 1.0, "power2": 1.0,
        }
        own = {"state": self._state, "schedule": self._schedule, "laps": self._laps}
        private = self._synapses | self._scratch | own
        values |= {field: array.ctypes.data for field, array in private.items()}
        for field, value in values.items():
            self.record[field] = value

    def attach(self, addresses: Mapping[str, int]) -> None:
        """Hand the unit the addresses of its slots and round counters, and how often they are published in a step.

        That is the whole of what it can reach outside.
        """
        for field, address in addresses.items():
            self.record[field] = address

    def draw_noise(self, steps: int) -> None:
        """Lay out the noise of the next ``steps`` steps; what was left of the last block is drawn again.

        Raises:
            StepInterrupted: more samples were taken than the last block held, as by a step that was done twice.
        """
        self._noise.restore(self._noise_state())
        self._forget_noise()
        samples = steps * self.spec.layer.draws
        width = 1 if self.spec.layer.family == "categorical" else self.spec.size
        shape = samples, self.spec.layer.rows, width
        self._block = np.ascontiguousarray(self._noise.block(samples), np.float64).reshape(shape)
        self.record["noise"] = self._block.ctypes.data
        self.record["noise_count"] = samples

    def _forget_noise(self) -> None:
        """Nothing may be taken of the last block, whose memory may go."""
        self.record["noise_count"], self.record["noise_index"] = 0, 0

    def _noise_state(self) -> np.ndarray:
        """Where the noise would be if no more had been drawn than was used."""
        used, drawn = int(self.record["noise_index"][0]), int(self.record["noise_count"][0])
        if used > drawn:
            raise StepInterrupted(
                self.spec.name, expected=f"at most {drawn} samples taken of the noise", found=f"{used}",
                mend="Load the newest checkpoint, or start anew.",
            )
        return self._noise.state_after(used) if used < drawn else self._noise.state()

    def counts(self) -> dict[str, int]:
        """What the unit has published since it was made or restored, and nanoseconds of its timed steps."""
        return {name: int(self.record[name][0]) for name in LEDGER}

    def laps(self) -> np.ndarray:
        """When each phase of the newest timed step began to wait, had its inputs, had computed and had published.

        Returns:
            int64 ``(phases, 4)``, nanoseconds of this machine's monotonic clock.
        """
        return self._laps.copy()

    def snapshot(self) -> Snapshot:
        """The unit's whole state between two steps; mirrored synapses are left out, the layer above has them."""
        snapshot = {f"{group}.{part}": self._part(group, part) for group in _GROUPS[:2] for part in self._parts()}
        if self._has_own_feedback:
            snapshot["outgoing.value"] = self._part("outgoing", "value")
        snapshot |= {name: self._state[STATE.index(name)].copy() for name in _SHOWN}
        snapshot["noise"] = self._noise_state()
        snapshot["counters"] = np.array([self.record["step"][0], self.record["updates"][0]], np.uint64)
        return snapshot

    @property
    def _has_own_feedback(self) -> bool:
        return self.spec.layer.feedback != "mirror" and self._mirrors

    @property
    def _mirrors(self) -> bool:
        return not self.spec.layer.is_last and not self.spec.layer.ships

    def _transpose(self) -> None:
        if self.spec.layer.ships:
            self._scratch["transposed"][:] = self._synapses["incoming"][0].T

    def mirror(self) -> Snapshot:
        """The unit's own copies of its outgoing synapses, in the layout of the layer above: ``(.., size, fan_out)``."""
        return {part: np.swapaxes(self._part("outgoing", part), -1, -2) for part in self._parts()}

    def _parts(self) -> tuple[str, ...]:
        layer = self.spec.layer
        bonus = ("bonus",) if layer.entropy > 0.0 else ()
        return ("value", "first", "second", *bonus, *(() if layer.single_step else ("trace",)))

    def _part(self, group: str, part: str) -> np.ndarray:
        block = self._synapses[group]
        return (block[len(SYNAPSES) :] if part == "trace" else block[SYNAPSES.index(part)]).copy()

    def restore(self, own: Snapshot, above: Mapping[str, np.ndarray]) -> None:
        """Take up a state: this unit's part of a snapshot, and the rows of the synapses above that leave it.

        Args:
            own: what :meth:`snapshot` returned.
            above: what :meth:`mirror` returned; empty for an output unit.
        """
        for group in _GROUPS:
            block = self._synapses[group]
            for part in self._parts() if group != "outgoing" or self._mirrors else ():
                value = np.swapaxes(above[part], -1, -2) if group == "outgoing" else own[f"{group}.{part}"]
                if part == "trace":
                    block[len(SYNAPSES) :] = value
                else:
                    block[SYNAPSES.index(part)] = value
        self._transpose()
        if self._has_own_feedback:
            self._synapses["outgoing"][SYNAPSES.index("value")] = own["outgoing.value"]
        for name in _SHOWN:
            self._state[STATE.index(name)] = own[name]
        self._scratch["decay"][:] = 1.0
        self._forget_noise()
        self._noise.restore(own["noise"])
        step, updates = (int(count) for count in own["counters"])
        for name in (*LEDGER, "noted"):
            self.record[name] = 0
        self.record["step"], self.record["learned"], self.record["updates"] = step, step, updates
        self.record["finished"] = step % 2**32
        self.record["power1"], self.record["power2"] = _powers(updates)


def _deviation(layer: LayerSpec) -> float:
    """What activations are measured in: the standard deviation, of a choice its temperature."""
    return layer.temperature if layer.family == "categorical" else float(np.sqrt(layer.variance))


def _still(layer: LayerSpec, scale: float) -> float:
    return layer.tolerance * scale if layer.tolerance else -1.0


def _powers(updates: int) -> tuple[float, float]:
    """``BETA1**n`` and ``BETA2**n`` multiplied up as the compiled step does it, 0 once the bias is not corrected."""
    if updates >= CORRECTED_UPDATES:
        return 0.0, 0.0
    power1 = power2 = 1.0
    for _ in range(updates):
        power1, power2 = power1 * BETA1, power2 * BETA2
    return power1, power2
