"""The methods of ``teamnet paper --of weight-max``, and what was published of them (arXiv 2010.09770)."""

from __future__ import annotations

from teamnet.rules.weight_max import WeightMaximisation
from teamnet.study.experiment.method import Method
from teamnet.study.experiment.statistics import Published
from teamnet.study.experiment.study import Experiment

_NAME, _TRACES = WeightMaximisation.name, "weight-max-traces"
_CONTROL = ("cartpole", "acrobot", "lunarlander")
_ALL = (*_CONTROL, "multiplexer")

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(_NAME, "weight maximisation", _ALL, compared_with=_NAME),
        Method(_TRACES, "weight maximisation with traces", _CONTROL, compared_with=_TRACES),
        Method(
            "early", "reward before the update (--early-reward)", _ALL, _NAME, base=_NAME,
            changes={"early_reward": True},
        ),
    )
}
"""In the order in which they are reported."""

_PUBLISHED: dict[str, dict[str, Published]] = {
    "cartpole": {_NAME: Published(390.38, 43.25), _TRACES: Published(373.11, 17.86)},
    "acrobot": {_NAME: Published(-97.05, 2.90), _TRACES: Published(-105.00, 4.38)},
    "lunarlander": {_NAME: Published(111.23, 16.58), _TRACES: Published(39.04, 14.39)},
    "multiplexer": {_NAME: Published(0.81, 0.01)},
}
"""Average return over all episodes, or over all samples, by task and method; LunarLander's are of version 2."""

WEIGHT_MAX = Experiment("paper --of weight-max", METHODS, "weight_max/report.md.j2", _PUBLISHED)
TASKS = _ALL
"""The tasks that numbers were published of."""
