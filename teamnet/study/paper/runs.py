"""Which runs a study consists of, where each lies, and whether it is finished."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from teamnet.errors import SpecError
from teamnet.spec.files import from_plain
from teamnet.spec.run import RunSpec
from teamnet.study.kept_run import files_of_run, keep_run
from teamnet.study.paper.methods import METHODS, Method, PeerSpec
from teamnet.study.paper.tasks import TASKS
from teamnet.training.owned_files import OwnedFiles
from teamnet.training.run_files import SPEC, SUMMARY, read_run_files

REPORT, ERROR_FILE = "results.md", "error.txt"
_SEED = re.compile("[0-9]{1,12}")


@dataclass(frozen=True)
class Planned:
    """One run of a study: what it is, and where it lies."""

    task: str
    method: str
    seed: int
    spec: RunSpec | PeerSpec
    folder: Path

    @property
    def label(self) -> str:
        """How displays and messages call it."""
        return f"{self.task} {self.method} seed {self.seed}"


@dataclass(frozen=True)
class Study:
    """A folder of runs.

    Args:
        folder: runs lie in ``runs/<task>/<method>/seed-<s>`` below it.
        methods: known methods by name, in the order of the tables.
        lengths: episodes of a task, or samples of a single-step one, where they are not the preset's.
    """

    folder: Path
    methods: Mapping[str, Method] = field(default_factory=lambda: METHODS)
    lengths: Mapping[str, int] = field(default_factory=dict)

    @property
    def files(self) -> OwnedFiles:
        """The report's files, beside the runs."""
        return OwnedFiles(self.folder, "study")

    def tasks_of(self, method: str) -> tuple[str, ...]:
        """The tasks that a method is for; none if it is unknown."""
        return self.methods[method].tasks if method in self.methods else ()

    def run(self, task: str, method: str, seed: int) -> Planned:
        """One run of the study."""
        spec = self.methods[method].spec(task, seed)
        if task in self.lengths:
            name = "env_steps" if TASKS[task].single_step else "episodes"
            spec = replace(spec, **{name: self.lengths[task]})
        return Planned(task, method, seed, spec, self.folder / "runs" / task / method / f"seed-{seed}")

    def plan(self, tasks: tuple[str, ...], methods: tuple[str, ...], seeds: range) -> list[Planned]:
        """The runs that were asked for: seed by seed, so that an early end leaves every cell with as many."""
        return [
            self.run(task, method, seed)
            for seed in seeds
            for task in tasks
            for method in methods
            if task in self.methods[method].tasks
        ]

    def failures(self) -> dict[str, str]:
        """Why runs in the folder failed the last time, by what they are called."""
        found = sorted((self.folder / "runs").glob(f"*/*/seed-*/{ERROR_FILE}"))
        return {" ".join(path.parent.parts[-3:]): brief(path.read_text()) for path in found}

    def finished(self) -> list[Planned]:
        """All finished runs in the folder, in the order of the tables.

        Raises:
            SpecError: a run there has another spec than this study's.
        """
        found = []
        for task in TASKS:
            for method in self.methods:
                folder = self.folder / "runs" / task / method
                seeds = [path.name.removeprefix("seed-") for path in folder.glob("seed-*")]
                numbers = sorted(int(seed) for seed in seeds if _SEED.fullmatch(seed))
                planned = [self.run(task, method, number) for number in numbers]
                found += [run for run in planned if is_finished(run)]
        return found


def is_finished(run: Planned) -> bool:
    """Whether the run lies in its folder and went to its end.

    Raises:
        SpecError: the run that lies there has another spec.
        CheckpointError: its files are damaged, or those of different runs.
    """
    if not (run.folder / SUMMARY).exists():
        return False
    files = read_run_files(run.folder)
    check_same_spec(run, files.about["spec"], str(run.folder / SPEC))
    summary = files.summary or {}
    ends = {name: getattr(run.spec, name) for name in ("env_steps", "episodes")}
    return any(end is not None and summary.get(name, 0) >= end for name, end in ends.items())


def check_same_spec(run: Planned, plain: Any, where: str) -> None:
    """Refuse what another spec has made.

    Args:
        run: of the study.
        plain: the spec of the run that was done, as JSON types; values that are missing are the usual ones.
        where: it was found.

    Raises:
        SpecError: they differ, or it is not a spec.
    """
    found = from_plain(type(run.spec), plain, where)
    for its in fields(run.spec):
        expected, value = getattr(run.spec, its.name), getattr(found, its.name)
        if expected != value:
            raise SpecError(
                f"{where}: {its.name}", expected=f"this study's, {expected}", found=str(value),
                mend="Runs of different specs do not mix: give another --out, or remove what was made by the other.",
            )


def keep(run: Planned, files: Mapping[str, bytes]) -> None:
    """Write a finished run to its folder, in place of what an unfinished one left there.

    Raises:
        SpecError: a file there is no run's of a study.
        ResourceError: a file cannot be written.
    """
    keep_run(run.folder, files)
    files_of_run(run.folder).remove(ERROR_FILE)


def brief(error: str) -> str:
    """The line of an error that says what it is: the last one, also of a traceback."""
    return error.strip().splitlines()[-1]


def keep_error(run: Planned, message: str) -> None:
    """Write why a run failed to its folder."""
    files_of_run(run.folder).write(ERROR_FILE, f"{message}\n".encode())
