"""Granularity: how the neurons of a layer are divided among units."""

from __future__ import annotations

import re
from collections.abc import Sequence

from teamnet.dataflow.layers import LayerSpec, UnitSpec
from teamnet.errors import SpecError, nearest

_NOISE_BYTES = 1 << 20
_NOISE_STEPS = 2048


def block_size(grain: str) -> int | None:
    """Neurons in a unit for ``"block:K"`` and ``"neuron"``; ``None`` for whole layers.

    Raises:
        SpecError: the granularity is none of ``layer``, ``block:K`` and ``neuron``.
    """
    if grain == "layer":
        return None
    if grain == "neuron":
        return 1
    match = re.fullmatch(r"block:([1-9]\d*)", grain)
    if not match:
        raise SpecError(
            "grain", expected="layer, block:K (K neurons a unit, K >= 1) or neuron", found=repr(grain),
            remedy=nearest(grain.split(":")[0], ("layer", "block:K", "neuron")),
        )
    return int(match[1])


def divide(layer: LayerSpec, grain: str, seed: int) -> list[UnitSpec]:
    """The units of a layer, in the order of their neurons; a categorical layer is one agent and stays one unit."""
    size = block_size(grain)
    if size is None or layer.unit_type.one_agent:
        size = layer.size
    return [UnitSpec(layer, start, min(start + size, layer.size), seed) for start in range(0, layer.size, size)]


def divide_all(teams: Sequence[Sequence[LayerSpec]], grain: str, seed: int) -> list[UnitSpec]:
    """The units of all teams in canonical order: team, layer, neuron."""
    return [unit for team in teams for layer in team for unit in divide(layer, grain, seed)]


def noise_steps(teams: Sequence[Sequence[LayerSpec]]) -> int:
    """Environment steps for which noise is drawn in advance: as many as fit in 1 MiB for the widest layer."""
    widest = max(layer.size * layer.rows for team in teams for layer in team)
    return max(1, min(_NOISE_STEPS, _NOISE_BYTES // (8 * widest)))
