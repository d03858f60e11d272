"""A unit: private arrays, and the record through which compiled steps reach them and the slots of the board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from teamnet.dataflow.layers import Rate, UnitSpec
from teamnet.dataflow.slots import Step
from teamnet.errors import SpecError, StepInterrupted, nearest
from teamnet.kernels.constants import BETA1, BETA2, CORRECTED_UPDATES, FLOAT64, TIMED_EVERY
from teamnet.kernels.unit_types import UNIT_TYPES
from teamnet.kernels.view import Record
from teamnet.units.addresses import Addresses
from teamnet.units.arrays import kept_arrays, make_arrays, set_initial
from teamnet.units.code import Code
from teamnet.units.layout import GROUPS, STEP, TIMES, WRITE, synapses_of, unit_of
from teamnet.units.streams import KeyedNoise, Noise, initial_feedback, initial_weights

Snapshot = dict[str, np.ndarray]
"""Arrays of one unit whose last axis counts its neurons, float64, and its ``noise`` and ``counters``, uint64."""


@dataclass(frozen=True)
class Counts:
    """What a unit has published since it was made or restored, and the nanoseconds of its timed steps.

    Args:
        sent: publications of each slot, by kind.
        silent: those of them in which no number changed.
        held: numbers that were not sent again.
        times: by the names of :data:`teamnet.units.layout.TIMES`.
    """

    sent: Mapping[str, int]
    silent: Mapping[str, int]
    held: Mapping[str, int]
    times: Mapping[str, int]


class Unit:
    """The agent of some neurons of one layer.

    Its parameters, optimiser state and traces stay here: they leave only through :meth:`snapshot`. Compiled
    steps receive ``record``.

    Args:
        spec: its neurons, and their settings.
        code: the compiled or interpreted operations of its rule.
        noise: the source of the unit's noise; its own keyed streams if not given.
    """

    def __init__(self, spec: UnitSpec, code: Code, noise: Noise | None = None) -> None:
        layer = spec.layer
        self.spec, self._code = spec, code
        self._noise = noise or KeyedNoise(spec)
        self._block = np.zeros(0)
        self._mirrors = layer.rule.mirrors(layer)
        self._arrays = make_arrays(spec)
        self._view = unit_of(layer.rule)
        self.record = np.zeros(1, self._view.dtype)
        self._groups = {name: np.zeros(1, synapses_of(layer.rule).dtype) for name in GROUPS}
        self._rates: dict[str, np.ndarray] = {}
        self._describe()
        own = initial_weights(layer, layer.number, layer.fan_in, layer.size, spec.seed)
        self._arrays["incoming.value"][:] = own[:, spec.start : spec.stop]
        if self._mirrors:
            self._arrays["outgoing.value"][:] = initial_feedback(layer, spec.seed)[spec.start : spec.stop].T
        self._tables: list[np.ndarray] = []
        self._own: dict[str, np.ndarray] = {}
        self._timestamps = np.zeros((1, 0, 4), np.int64)

    @property
    def address(self) -> int:
        """The address of the record."""
        return self.record.ctypes.data

    def _describe(self) -> None:
        layer, rule = self.spec.layer, self.spec.layer.rule
        fixed = rule.outgoing == "fixed"
        readers = layer.readers if self._mirrors else ()
        above = [(reader.size, Rate(0.0, 0.0) if fixed else reader.rate) for reader in readers]
        groups = {
            "incoming": ([(layer.fan_in, layer.rate)], 0.0 if layer.is_first else rule.decay_of_weights),
            "biases": ([(1, layer.rate)], 0.0),
            "outgoing": (above, 0.0 if fixed else rule.decay_of_weights),
        }
        for name, (parts, decay) in groups.items():
            self._rates[name] = rates = np.zeros((len(parts), 3))
            for row, (size, rate) in zip(rates, parts, strict=True):
                row[:] = size * self.spec.size, rate.start, rate.end
            self._fill(self._groups[name], {
                "inputs": sum(size for size, _ in parts), "outputs": self.spec.size, "rows": layer.rows,
                "traces": 0 if layer.single_step else layer.rows, "parts": len(parts),
                "rates": rates.ctypes.data, "anneal_steps": layer.rate.steps, "weight_decay": decay,
                **{
                    key.removeprefix(f"{name}."): array.ctypes.data
                    for key, array in self._arrays.items() if key.startswith(f"{name}.")
                },
            })
        self._fill(self.record, {
            "rows": layer.rows, "fan_in": layer.fan_in, "size": self.spec.size, "fan_out": layer.fan_out,
            "first_layer": layer.is_first, "last_layer": layer.is_last, "gated": layer.gated,
            "single_step": layer.single_step, "mirrors": self._mirrors, "family": layer.unit_type.number,
            "agents": len(layer.choices), "masked": layer.masked, "function": self._code.function,
            "perform": self._code.perform,
            "variance": layer.variance, "temperature": layer.temperature, "trace_decay": layer.trace_decay,
            "timed_mask": TIMED_EVERY - 1, "power1": 1.0, "power2": 1.0, "adam_epsilon": rule.adam_epsilon,
            **rule.numbers(), **self._above(),
            **{name: group.ctypes.data for name, group in self._groups.items()},
            **{name: array.ctypes.data for name, array in self._arrays.items() if "." not in name},
        })

    def _above(self) -> dict[str, float]:
        """What a unit knows of the layer that reads it, if there is only one."""
        reader = self.spec.layer.only_reader
        if reader is None:
            return {}
        return {
            "function_above": self._code.function_above, "family_above": UNIT_TYPES[reader.family].number,
            "variance_above": reader.variance, "temperature_above": reader.temperature,
        }

    def _fill(self, record: np.ndarray, values: Mapping[str, float]) -> None:
        for field, value in values.items():
            record[field] = value

    def attach(self, addresses: Addresses, steps: tuple[Step, ...]) -> None:
        """Give the unit its slots and its steps of an environment step. It can access nothing else outside.

        Args:
            addresses: of the slots.
            steps: of its layer.

        Raises:
            SpecError: the rule has no operation of some name.
        """
        self._own = addresses.own
        for kind, own in self._own.items():
            source = self._arrays[kind]
            self._fill(own, {"source": source.ctypes.data})
            if own["dtype"][0] != FLOAT64:
                self._arrays[f"residual.{kind}"] = np.zeros_like(source)
                self._fill(own, {"residual": self._arrays[f"residual.{kind}"].ctypes.data})
        table = np.zeros(len(steps), STEP.dtype)
        self._tables = [table, *addresses.reads, *addresses.joined]
        for record, step, reads in zip(table, steps, addresses.reads, strict=True):
            writes = np.zeros(len(step.writes), WRITE.dtype)
            for write, target in zip(step.writes, writes, strict=True):
                target["own"], target["number"] = self._own[write.slot[0]].ctypes.data, write.number
                target["puts"], target["publishes"] = write.puts, write.publishes
            self._tables.append(writes)
            operation = self._code.numbers.get(step.operation)
            if operation is None:
                raise SpecError(
                    f"{self.spec.name}, step", expected="an operation of the rule", found=repr(step.operation),
                    remedy=nearest(step.operation, self._code.numbers),
                )
            record["operation"], record["reads"], record["read_count"] = operation, reads.ctypes.data, len(reads)
            record["joins"] = np.count_nonzero(reads["part_count"])
            record["writes"], record["write_count"] = writes.ctypes.data, len(writes)
        self._fill(self.record, {
            "steps": table.ctypes.data, "step_count": len(steps), "control": addresses.control,
        })
        self._keep_timestamps(1, len(steps))

    def step_address(self, number: int) -> int:
        """The address of the record of a step."""
        return self._tables[0][number:].ctypes.data

    def perform(self, record: Record, step: int) -> None:
        """Run a step of an interpreted unit; see :func:`teamnet.units.dispatch.plain_dispatcher_of`."""
        assert self._code.plain, "the unit is interpreted"
        self._code.plain(record, step)

    def plain_record(self) -> Record:
        """The record for interpreted operations: its arrays are NumPy arrays, and it has the hidden function."""
        return self._code.plain_record(self._view, self.address)

    def draw_noise(self, steps: int) -> None:
        """Draw the noise of the next ``steps`` steps; unused samples of the last block are drawn again.

        Raises:
            StepInterrupted: more samples were used than the last block has, as by a step that was run twice.
        """
        self._noise.restore(self._noise_state())
        self._forget_noise()
        layer = self.spec.layer
        samples = steps * layer.rule.draws(layer)
        width = len(layer.choices) or self.spec.size
        shape = samples, layer.rows, width
        self._block = np.ascontiguousarray(self._noise.block(samples), np.float64).reshape(shape)
        self._fill(self.record, {"noise": self._block.ctypes.data, "noise_count": samples})

    def _forget_noise(self) -> None:
        """Mark the last block as empty, as its memory may be freed."""
        self._fill(self.record, {"noise_count": 0, "noise_index": 0})

    def _noise_state(self) -> np.ndarray:
        """The noise state as if only the used samples had been drawn."""
        used, drawn = int(self.record["noise_index"][0]), int(self.record["noise_count"][0])
        if used > drawn:
            raise StepInterrupted(
                self.spec.name, expected=f"at most {drawn} samples of the noise used", found=f"{used}",
                remedy="Load the newest checkpoint, or start again.",
            )
        return self._noise.state_after(used) if used < drawn else self._noise.state()

    def counts(self) -> Counts:
        """The counts of the unit's publications, and its times."""
        sent, silent, held = (
            {kind: int(own[name][0]) for kind, own in self._own.items()} for name in ("sent", "silent", "held")
        )
        return Counts(sent, silent, held, {name: int(self.record[name][0]) for name in TIMES})

    def timestamps(self) -> np.ndarray:
        """When each step of the newest timed environment steps began to wait, could begin, was done, was published.

        Returns:
            int64 ``(timed, steps, 4)``, nanoseconds of this machine's monotonic clock; ``timed`` is 1, or after
            :meth:`time_all` what that was told, if as many steps were timed since. The newest is the last.
        """
        timed = int(self.record["timed_steps"][0])
        newest = np.arange(max(0, timed - len(self._timestamps)), timed)
        return self._timestamps[newest % len(self._timestamps)]

    def time_all(self, kept: int) -> None:
        """Time every environment step from now on, and keep the timestamps of the newest ``kept``; 0 for as usual."""
        steps = self._timestamps.shape[1]
        self._fill(self.record, {"timed_mask": 0 if kept else TIMED_EVERY - 1, **dict.fromkeys(TIMES, 0)})
        self._keep_timestamps(kept or 1, steps)

    def _keep_timestamps(self, kept: int, steps: int) -> None:
        self._timestamps = np.zeros((kept, steps, 4), np.int64)
        self._fill(self.record, {"timestamps": self._timestamps.ctypes.data, "timestamps_kept": kept})

    def snapshot(self) -> Snapshot:
        """The unit's whole state between two steps; mirrored synapses are left out, as the layer above has them."""
        snapshot = {name: self._arrays[name].copy() for name in kept_arrays(self.spec.layer)}
        snapshot["noise"] = self._noise_state()
        snapshot["counters"] = np.array([self.record["step"][0], self.record["updates"][0]], np.uint64)
        return snapshot

    def mirror(self) -> Snapshot:
        """The unit's own copies of its outgoing synapses, in the layout of the layer above: ``(.., size, fan_out)``."""
        names = [name for name in kept_arrays(self.spec.layer) if name.startswith("incoming.")]
        parts = [name.removeprefix("incoming.") for name in names] if self._mirrors else []
        return {part: np.swapaxes(self._arrays[f"outgoing.{part}"].copy(), -1, -2) for part in parts}

    def private(self, name: str) -> np.ndarray:
        """A copy of a private array, for checks of a rule."""
        return self._arrays[name].copy()

    def private_bytes(self) -> list[bytes]:
        """All private arrays, for checks that another unit has not changed them."""
        return [array.tobytes() for array in self._arrays.values()]

    def overwrite(self, name: str, value: np.ndarray | float) -> None:
        """Overwrite a private array, to test what depends on it."""
        self._arrays[name][:] = value

    def restore(self, own: Snapshot, above: Mapping[str, np.ndarray]) -> None:
        """Restore a state: this unit's part of a snapshot, and the rows of the synapses above that leave it.

        Args:
            own: what :meth:`snapshot` returned.
            above: what :meth:`mirror` returned; empty for an output unit.
        """
        if self._mirrors:
            for part, value in above.items():
                self._arrays[f"outgoing.{part}"][:] = np.swapaxes(value, -1, -2)
        for name in kept_arrays(self.spec.layer):
            self._arrays[name][:] = own[name]
        set_initial(self._arrays, self.spec.layer, kept=False)
        self._forget_noise()
        self._noise.restore(own["noise"])
        step, updates = (int(count) for count in own["counters"])
        power1, power2 = _powers(updates)
        self._fill(self.record, {
            **dict.fromkeys((*TIMES, "noted"), 0), "step": step, "learned": step, "finished": step % 2**32,
            "updates": updates, "power1": power1, "power2": power2,
        })
        for record in self._own.values():
            self._fill(record, dict.fromkeys(("sent", "silent", "held"), 0))


def _powers(updates: int) -> tuple[float, float]:
    """``BETA1**n`` and ``BETA2**n``, multiplied as in the compiled step; 0 once the bias is not corrected."""
    if updates >= CORRECTED_UPDATES:
        return 0.0, 0.0
    power1 = power2 = 1.0
    for _ in range(updates):
        power1, power2 = power1 * BETA1, power2 * BETA2
    return power1, power2
