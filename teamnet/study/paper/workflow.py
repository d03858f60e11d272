"""The command from beginning to end: plan, do what is not finished, report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from teamnet.errors import SpecError, nearest
from teamnet.spec.check import MOST_SEEDS, check_count, check_folder, check_run
from teamnet.spec.presets import ENVIRONMENTS
from teamnet.spec.run import RunSpec
from teamnet.study.kept_run import RUN_FILES, files_of_run
from teamnet.study.paper.execute import execute
from teamnet.study.paper.progress import Durations, StudyProgress
from teamnet.study.paper.provenance import GOES, GoRecord
from teamnet.study.paper.record import RESULTS, Recorded, merge, read_recorded
from teamnet.study.paper.report import copy_to_docs, docs_files, write_report
from teamnet.study.paper.results import Result, measure
from teamnet.study.paper.runs import ERROR_FILE, REPORT, Planned, Study, keep, keep_error
from teamnet.study.paper.tasks import TASKS
from teamnet.training.registry import check_installed
from teamnet.training.run_files import check_writable, make_folder

Report = Callable[[Study, Recorded], tuple[Path, list[Result]]]


@dataclass(frozen=True)
class Choice:
    """Which runs of a study are asked for.

    Args:
        tasks, methods: by name; empty for all tasks, and for all usual methods.
        seeds: how many.
        first_seed: the first one.
    """

    tasks: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    seeds: int = 10
    first_seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """How a study ended: its report, all results, the runs done now, and the runs that failed."""

    report: Path
    results: list[Result]
    done: list[Planned] = field(default_factory=list)
    failed: list[Planned] = field(default_factory=list)


def plan(study: Study, choice: Choice) -> list[Planned]:
    """The runs that are asked for.

    Raises:
        SpecError: a task or method is unknown, or there is no such run.
        ResourceError: a method cannot be run by this installation.
    """
    for where, names, known in (("tasks", choice.tasks, TASKS), ("methods", choice.methods, study.methods)):
        for name in names:
            if name not in known:
                raise SpecError(where, expected=f"some of {', '.join(known)}", found=name, mend=nearest(name, known))
    check_count("seeds", choice.seeds, 1, MOST_SEEDS)
    check_count("first_seed", choice.first_seed, 0)
    methods = choice.methods or tuple(name for name, method in study.methods.items() if method.usual)
    seeds = range(choice.first_seed, choice.first_seed + choice.seeds)
    runs = study.plan(choice.tasks or tuple(TASKS), methods, seeds)
    if not runs:
        raise SpecError(
            "tasks", expected=f"tasks that {', '.join(methods)} can be run on", found=", ".join(choice.tasks),
            mend=f"Those are: {', '.join(sorted({task for its in methods for task in study.methods[its].tasks}))}.",
        )
    return runs


def run_study(
    study: Study, choice: Choice, *, address: str = "", cpus: int | None = None, report_only: bool = False,
    docs: Path | None = None, recorded: Path | None = None, write: Report = write_report,
) -> Outcome:
    """Do all runs that are asked for and not finished, then write the report over all that is finished.

    Args:
        study: the folder, and what its runs are.
        choice: the runs that are asked for.
        address: of a Ray cluster; empty for a private one on this machine.
        cpus: runs that may go on at the same time, if fewer than there are CPUs.
        report_only: only write the report.
        docs: a folder that gets a copy of the report.
        recorded: the folder of an earlier report, whose runs count as finished.
        write: what writes the report.

    Raises:
        SpecError: the choice is refused, runs of other specs lie in the folder or are recorded, or there are files in
            the folders that no study wrote. Nothing was run or written then.
        CheckpointError: finished runs, or what is recorded of them, are damaged.
        EnvironmentRefused: an environment is not installed.
        ResourceError: nothing answers at the address, or a method is not installed.
    """
    if cpus is not None and cpus < 1:
        raise SpecError("cpus", expected="1 or more", found=str(cpus), mend="Leave it out for all.")
    runs = plan(study, choice)
    earlier = read_recorded(study, recorded)
    finished = merge(study, earlier, [measure(run) for run in study.finished()])
    todo = [] if report_only else _missing(runs, finished)
    _check_ready(study, todo)
    _check_files(study, docs, [*(run.task for run in todo), *(result.task for result in finished)], todo)
    make_folder(study.folder)
    done, failed = _do(study, todo, len(runs) - len(todo), finished, address, cpus)
    path, results = write(study, earlier)
    if docs is not None:
        copy_to_docs(study, docs)
    return Outcome(path, results, done, failed)


def _check_ready(study: Study, todo: Sequence[Planned]) -> None:
    """Refuse methods, specs and environments that this installation cannot run, before anything is started."""
    for method in dict.fromkeys(run.method for run in todo):
        study.methods[method].check_installed()
    for run in todo:
        if isinstance(run.spec, RunSpec):
            check_run(run.spec)
    for task in dict.fromkeys(run.task for run in todo):
        if task in ENVIRONMENTS:
            check_installed(task)


def _check_files(study: Study, docs: Path | None, tasks: Sequence[str], todo: Sequence[Planned]) -> None:
    """Refuse to replace what no study wrote, before anything is started or written.

    Raises:
        SpecError: naming the file.
    """
    figures = [f"figures/{name}.png" for name in (*dict.fromkeys(tasks), "communication", "front")]
    for files, option in ((study.files, "out"), (docs_files(docs) if docs is not None else None, "docs")):
        if files:
            check_folder(option, files.folder)
            check_writable(files.folder, option)
            files.check((REPORT, RESULTS, GOES, *figures))
    for run in todo:
        check_writable(run.folder)
        files_of_run(run.folder).check((*RUN_FILES, ERROR_FILE))


def _missing(runs: Sequence[Planned], finished: Sequence[Result]) -> list[Planned]:
    known = {(result.task, result.method, result.seed) for result in finished}
    return [run for run in runs if (run.task, run.method, run.seed) not in known]


def _do(
    study: Study, todo: Sequence[Planned], others: int, finished: Sequence[Result], address: str, cpus: int | None
) -> tuple[list[Planned], list[Planned]]:
    if not todo:
        return [], []
    from teamnet.team.ray_tasks import Job, run_jobs  # late: a report needs no Ray

    done: list[Planned] = []
    failed: list[Planned] = []
    progress = StudyProgress(todo, others, Durations(finished))
    record = GoRecord(study.files)
    jobs = [Job(execute, (run.spec,)) for run in todo]
    try:
        with closing(run_jobs(jobs, address=address, most_at_once=cpus, waiting=progress.waiting)) as outcomes:
            for outcome in outcomes:
                run = todo[outcome.number]
                progress.ended(outcome.number, outcome.error)
                if outcome.error:
                    keep_error(run, outcome.error)
                    failed.append(run)
                else:
                    keep(run, outcome.value)
                    done.append(run)
                    record.finished(progress.at_once)
    finally:
        progress.close()
    return done, failed
