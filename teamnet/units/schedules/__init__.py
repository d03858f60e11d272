"""What a unit does in one environment step, phase by phase, as data: one module for each rule.

Who executes a schedule decides where the unit runs; the bits are the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from teamnet.spec.layers import LayerSpec
from teamnet.units.schedules.asynchronous import ticks
from teamnet.units.schedules.backpropagation import chain
from teamnet.units.schedules.map_propagation import jacobi
from teamnet.units.schedules.phase import Phase
from teamnet.units.schedules.sweeps import descents, sweeps


def schedule_of(layer: LayerSpec) -> Sequence[Phase]:
    """The phases of one environment step of every unit of a layer."""
    makers = {"jacobi": jacobi, "sweeps": sweeps, "descents": descents, "chain": chain, "ticks": ticks}
    return makers[layer.schedule](layer)
