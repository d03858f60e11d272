"""Experiments and studies: the methods compared, the runs of a study, and where each run is stored."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from teamnet.errors import SpecError
from teamnet.kernels.user_file import source_of
from teamnet.rules.loading import is_reference
from teamnet.rules.rule import Rule
from teamnet.spec.files import from_plain
from teamnet.spec.run import RunSpec
from teamnet.study.baselines import BaselineSpec
from teamnet.study.experiment.method import Method, method_of_rule
from teamnet.study.experiment.statistics import Published
from teamnet.study.experiment.tasks import TASKS, in_order, task_of, task_of_file
from teamnet.study.kept_run import ERROR_FILE
from teamnet.training.owned_files import OwnedFiles

REPORT = "results.md"
Key = tuple[str, str, int]
"""Task, method and seed: what identifies a run among those of a study."""
_SEED = re.compile("seed-([0-9]{1,12})")


@dataclass(frozen=True)
class Experiment:
    """The methods that are compared, and their report.

    Args:
        command: that runs it.
        methods: by name, in the order of the tables.
        template: of the report, below :mod:`teamnet.study`.
        published: the published numbers, by task and method.
        remarks: published values without mean, deviation and number of runs; they are shown, not tested.
        extras: what the template uses beside what all have, by name.
        takes_any: whether its methods can be run on environments of a user's own.
        timed_task: the task on which the methods' speeds are measured; empty for none.
    """

    command: str
    methods: Mapping[str, Method]
    template: str
    published: Mapping[str, Mapping[str, Published]] = field(default_factory=dict)
    remarks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    extras: Mapping[str, object] = field(default_factory=dict)
    takes_any: bool = False
    timed_task: str = ""

    def with_rules(self, names: Sequence[str]) -> tuple[Experiment, tuple[str, ...]]:
        """The experiment with methods for rules of a user's own, and the names of all requested methods.

        Raises:
            SpecError: there is no such rule, its file has a mistake, or its class has the name of another method.
        """
        own = {name: method_of_rule(name) for name in names if name not in self.methods and is_reference(name)}
        for name, method in own.items():
            if method.name in self.methods or [rule.name for rule in own.values()].count(method.name) > 1:
                raise SpecError(
                    "methods", expected="rules whose classes have distinct names", found=f"{method.name} of {name}",
                    remedy="Choose another name for the class.",
                )
        methods = {**self.methods, **{method.name: method for method in own.values()}}
        return replace(self, methods=methods), tuple(own[name].name if name in own else name for name in names)


@dataclass(frozen=True)
class Planned:
    """One run of a study: its spec, and where it is stored."""

    task: str
    method: str
    seed: int
    spec: RunSpec | BaselineSpec
    folder: Path

    @property
    def key(self) -> Key:
        """What identifies it among the runs of the study."""
        return self.task, self.method, self.seed

    @property
    def label(self) -> str:
        """Its name in displays and messages."""
        return f"{self.task} {self.method} seed {self.seed}"

    def check_spec(self, plain: Any, where: str) -> None:
        """Refuse a run of another spec.

        Args:
            plain: the spec of a finished run, as JSON types; missing values are the defaults.
            where: its location, for messages.

        Raises:
            SpecError: it differs from this run's spec, or is not a spec.
        """
        found = from_plain(type(self.spec), plain, where)
        for name in (entry.name for entry in fields(self.spec)):
            expected, value = getattr(self.spec, name), getattr(found, name)
            if expected != value:
                raise SpecError(
                    f"{where}: {name}", expected=f"this study's, {_shown(expected)}", found=_shown(value),
                    remedy="Runs of different specs cannot be mixed: give another --out, or remove those of the other.",
                )


@dataclass(frozen=True)
class Study:
    """A folder of runs of an experiment.

    Args:
        folder: runs are stored in ``runs/<task>/<method>/seed-<s>`` below it.
        experiment: the experiment of the runs.
        lengths: episodes of a task, or samples of a single-step one, where they differ from the preset's.
        episodes: of environments of a user's own; the preset's if left out.
    """

    folder: Path
    experiment: Experiment
    lengths: Mapping[str, int] = field(default_factory=dict)
    episodes: int | None = None

    @property
    def files(self) -> OwnedFiles:
        """The report's files, next to the runs."""
        return OwnedFiles(self.folder, "study")

    @property
    def methods(self) -> Mapping[str, Method]:
        """The experiment's methods."""
        return self.experiment.methods

    def run(self, task: str, method: str, seed: int) -> Planned:
        """One run of the study."""
        spec = self.methods[method].spec(task, seed)
        if task in self.lengths:
            name = "env_steps" if task_of(task).single_step else "episodes"
            spec = replace(spec, **{name: self.lengths[task]})
        elif task not in TASKS and self.episodes is not None:
            spec = replace(spec, episodes=self.episodes)
        return Planned(task, method, seed, spec, self._cell(task, method) / f"seed-{seed}")

    def has(self, task: str, method: str) -> bool:
        """Whether a method can be run on a task."""
        tasks = self.methods[method].tasks if method in self.methods else ()
        return task in tasks or (bool(tasks) and task not in TASKS and self.experiment.takes_any)

    def same_as(self, task: str, method: str) -> list[str]:
        """The other methods that have the same runs on a task."""
        spec = self.run(task, method, 0).spec
        return [
            name for name in self.methods
            if name != method and self.has(task, name) and self.run(task, name, 0).spec == spec
        ]

    def same_runs(self, keys: Collection[Key]) -> dict[Key, list[Key]]:
        """For each run the equal runs of other methods: its result is theirs too."""
        others = {cell: self.same_as(*cell) for cell in dict.fromkeys((task, method) for task, method, _ in keys)}
        return {
            (task, method, seed): [(task, other, seed) for other in others[task, method]]
            for task, method, seed in keys
        }

    def distinct(self, keys: Collection[Key]) -> set[Key]:
        """The runs without those that an earlier one of another method equals."""
        kept: set[Key] = set()
        for key, equal in self.same_runs(keys).items():
            if kept.isdisjoint(equal):
                kept.add(key)
        return kept

    def _cell(self, task: str, method: str) -> Path:
        return self.folder / "runs" / task_of(task).file_name / method

    def begun(self) -> list[Planned]:
        """The runs that have a folder, in the order of the tables."""
        found = []
        for task in in_order(task_of_file(path.name).name for path in (self.folder / "runs").glob("*")):
            for method in self.methods:
                names = [path.name for path in self._cell(task.name, method).glob("seed-*")]
                seeds = sorted(int(match[1]) for name in names if (match := _SEED.fullmatch(name)))
                found += [self.run(task.name, method, seed) for seed in seeds if self.has(task.name, method)]
        return found

    def failures(self) -> dict[str, str]:
        """The last error of each failed run in the folder, by the name of the run."""
        found = sorted((self.folder / "runs").glob(f"*/*/seed-*/{ERROR_FILE}"))
        places = [path.parent.parts[-3:] for path in found]
        names = [" ".join((task_of_file(task).name, method, seed)) for task, method, seed in places]
        return {name: brief(path.read_text()) for name, path in zip(names, found, strict=True)}


def _shown(value: Any) -> str:
    """A value of a spec; of a user's own rule with the digest of its file, which may be all that differs."""
    source = source_of(type(value)) if isinstance(value, Rule) else None
    return f"{value} of a file with the SHA-256 {source.digest[:16]}" if source else str(value)


def brief(error: str) -> str:
    """The line of an error that describes it: the last one, also of a traceback."""
    return error.strip().splitlines()[-1]
