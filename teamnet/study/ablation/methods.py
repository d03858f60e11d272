"""The methods of ``teamnet ablation``: presets, and a preset with one value of its spec changed."""

from __future__ import annotations

from typing import Any

from teamnet.rules.map_propagation import MapPropagation
from teamnet.study.experiment.method import Method
from teamnet.study.experiment.study import Experiment

LENGTHS = {"cartpole": 300, "multiplexer": 1_000_000}
"""Episodes or samples of each default task, enough for the presets to learn it."""


_MAP = MapPropagation.name


def _frugal(name: str, label: str, **changes: Any) -> Method:
    return Method(name, label, base="frugal", changes=changes)


VARIANTS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(_MAP, "as published: Jacobi, 20 steps"),
        Method("every-5", "Jacobi, exchange in every 5th", base=_MAP, changes={"exchange_every": 5}),
        Method("settled", "Jacobi, settled neurons send nothing", base=_MAP, changes={"send_threshold": 0.01}),
        Method("tuned", "two sweeps"),
        _frugal("frugal", "two descents"),
        _frugal("float32", "two descents, float32", message_dtype="float32"),
        _frugal("bfloat16", "two descents, bfloat16", message_dtype="bfloat16"),
        _frugal("int8", "two descents, 8 bits", message_dtype="int8"),
        _frugal("int8-feedback", "two descents, 8 bits, error feedback", message_dtype="int8", error_feedback=True),
        _frugal("backprojected", "two descents, errors backprojected", feedback="backprojected"),
        _frugal("kolen-pollack", "two descents, Kolen-Pollack", feedback="kolen-pollack", weight_decay=1e-4),
        _frugal("random", "two descents, random feedback", feedback="random"),
    )
}
"""In the order in which they are reported; the others are compared with the first."""

ABLATION = Experiment("ablation", VARIANTS, "ablation/report.md.j2")
