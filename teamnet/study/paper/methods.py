"""The methods of ``teamnet paper``."""

from __future__ import annotations

from teamnet.rules.asynchronous import AsynchronousMapPropagation
from teamnet.rules.backpropagation import Backpropagation
from teamnet.rules.map_propagation import MapPropagation
from teamnet.rules.reinforce import Reinforce
from teamnet.rules.weight_max import WeightMaximisation
from teamnet.spec.presets import ENVIRONMENTS
from teamnet.study.experiment.method import Method
from teamnet.study.experiment.study import Experiment
from teamnet.study.paper import summary
from teamnet.study.paper.published import PUBLISHED, PUBLISHED_REMARKS

_CONTROL = tuple(ENVIRONMENTS)

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(MapPropagation.name, "MAP propagation", compared_with=MapPropagation.name),
        Method("tuned", "MAP propagation, tuned", compared_with=MapPropagation.name),
        Method("frugal", "MAP propagation, tuned, frugal", compared_with=MapPropagation.name),
        Method("scaled", "MAP propagation, tuned, scaled", _CONTROL, MapPropagation.name),
        Method(Backpropagation.name, "backpropagation", compared_with=Backpropagation.name),
        Method(AsynchronousMapPropagation.name, "asynchronous MAP", _CONTROL, AsynchronousMapPropagation.name),
        Method(
            WeightMaximisation.name, "weight maximisation", ("cartpole", "acrobot", "lunarlander"),
            lengths_of=MapPropagation.name,
        ),
        Method(Reinforce.name, "REINFORCE, all units", compared_with=Reinforce.name),
        Method("reinforce-part", "REINFORCE, part exploring", _CONTROL, "reinforce-part"),
        Method("sb3-a2c", "A2C (Stable-Baselines3)", _CONTROL, usual=False, algorithm="a2c"),
        Method("sb3-ppo", "PPO (Stable-Baselines3)", _CONTROL, usual=False, algorithm="ppo"),
    )
}
"""In the order in which they are reported."""

PAPER = Experiment(
    "paper", METHODS, "paper/report.md.j2", PUBLISHED, PUBLISHED_REMARKS, extras={"summary": summary}, takes_any=True,
    timed_task=summary.STEP_TASK,
)
