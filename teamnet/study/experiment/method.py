"""A method of a comparison, and its run on a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from teamnet.rules.loading import find_rule
from teamnet.spec.change import changed
from teamnet.spec.presets import preset
from teamnet.spec.resolve import fit_depth
from teamnet.spec.run import RunSpec
from teamnet.study.baselines import BaselineSpec
from teamnet.study.experiment.tasks import TASKS
from teamnet.study.interfaces import interface_of_task


@dataclass(frozen=True)
class Method:
    """A preset, optionally with changes, or an algorithm of Stable-Baselines3 with the preset's number of episodes.

    Args:
        name: on the command line, in folders and in tables.
        label: in figures.
        tasks: of the paper's, on which it can be run.
        compared_with: the published method that it is compared with; empty for none.
        usual: whether it is run by default.
        base: the preset, or a rule of a user's own; the preset of the method's name if left out.
        changes: values of the run's spec that differ from the preset's.
        changes_on: more of them, on single tasks.
        lengths_of: the preset whose number of episodes its runs have; empty for its own.
        algorithm: of Stable-Baselines3; empty for a team.
    """

    name: str
    label: str
    tasks: tuple[str, ...] = tuple(TASKS)
    compared_with: str = ""
    usual: bool = True
    base: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    changes_on: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lengths_of: str = ""
    algorithm: str = ""

    def spec(self, task: str, seed: int) -> RunSpec | BaselineSpec:
        """The spec of its run on a task, as the run will record it: with a value for each of its layers."""
        if self.algorithm:
            return BaselineSpec(task, self.algorithm, seed, preset(task).episodes)
        changes = {**self.changes, **self.changes_on.get(task, {})}
        spec = changed(preset(task, self.base or self.name), seed=seed, **changes)
        spec = replace(spec, episodes=preset(task, self.lengths_of).episodes) if self.lengths_of else spec
        return fit_depth(spec, interface_of_task(task))


def method_of_rule(reference: str) -> Method:
    """A rule of a user's own as a method, with the name of its class.

    Raises:
        SpecError: there is none, or its file has a mistake; with the line.
    """
    name = find_rule(reference).__name__
    return Method(name, name, base=reference)
