"""The methods of ``teamnet depth``: a preset of each rule and schedule, with one to six hidden layers of 32 neurons."""

from __future__ import annotations

from teamnet.spec.distinct import distinct_presets
from teamnet.study.experiment.method import Method

LENGTHS = {"cartpole": 300, "multiplexer": 500_000}
"""Episodes or samples of each task."""
DEPTHS = range(1, 7)
"""Hidden layers."""
_NEURONS = 32
_MULTIPLEXER = {"address_bits": 3, "num_envs": 32}


def name_of(base: str, depth: int) -> str:
    """The name of a method, such as ``map-3``."""
    return f"{base}-{depth}"


PRESETS = distinct_presets("cartpole")
"""One of each rule and schedule."""


_FIT = {task: distinct_presets(task) for task in LENGTHS}


def _method(base: str, depth: int) -> Method:
    tasks = tuple(task for task, fit in _FIT.items() if base in fit)
    return Method(
        name_of(base, depth), f"{base}, {depth} hidden", tasks, base=base, changes={"hidden": (_NEURONS,) * depth},
        changes_on={"multiplexer": _MULTIPLEXER},
    )


METHODS: dict[str, Method] = {name_of(base, depth): _method(base, depth) for base in PRESETS for depth in DEPTHS}
"""In the order in which they are reported."""
