"""The ways: presets, and a preset with one value of its spec changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from teamnet.spec.presets import preset
from teamnet.spec.run import RunSpec
from teamnet.study.paper.methods import Method

LENGTHS = {"cartpole": 300, "multiplexer": 1_000_000}
"""Episodes and samples, on the tasks that are done unless others are asked for: until the presets have learned."""


@dataclass(frozen=True)
class Way(Method):
    """A preset with changes.

    Args:
        base: the preset.
        changes: values of the run's spec.
    """

    base: str = "map"
    changes: Mapping[str, Any] = field(default_factory=dict)

    def spec(self, task: str, seed: int) -> RunSpec:
        """See :class:`Method`."""
        return replace(preset(task, self.base), seed=seed, **self.changes)


def _frugal(name: str, label: str, **changes: Any) -> Way:
    return Way(name, label, base="frugal", changes=changes)


WAYS: dict[str, Method] = {
    way.name: way
    for way in (
        Way("map", "as published: Jacobi, 20 steps"),
        Way("every-5", "Jacobi, exchange in every 5th", changes={"exchange_every": 5}),
        Way("settled", "Jacobi, settled neurons say nothing", changes={"tolerance": 0.01}),
        Way("tuned", "two sweeps", base="tuned"),
        _frugal("frugal", "two descents"),
        _frugal("float32", "two descents, float32", wire="float32"),
        _frugal("bfloat16", "two descents, bfloat16", wire="bfloat16"),
        _frugal("int8", "two descents, 8 bits", wire="int8"),
        _frugal("int8-feedback", "two descents, 8 bits, error feedback", wire="int8", error_feedback=True),
        _frugal("shipped", "two descents, products shipped", feedback="shipped"),
        _frugal("kolen-pollack", "two descents, Kolen-Pollack", feedback="kolen-pollack", forgetting=1e-4),
        _frugal("random", "two descents, random feedback", feedback="random"),
    )
}
"""In the order in which they are reported; the first is what the others are compared with."""
