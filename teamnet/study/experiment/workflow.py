"""A complete study: plan, execute the unfinished runs, report."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from teamnet.errors import SpecError
from teamnet.spec.check import MOST_SEEDS, check_folder, check_run
from teamnet.spec.presets import ENVIRONMENTS
from teamnet.spec.run import RunSpec
from teamnet.study.baselines import check_algorithm
from teamnet.study.experiment.execute import execute
from teamnet.study.experiment.invocations import INVOCATIONS, InvocationLog
from teamnet.study.experiment.progress import StudyProgress
from teamnet.study.experiment.recorded import RESULTS, Recorded, all_results, all_speeds, read_recorded
from teamnet.study.experiment.report import copy_to_docs, docs_files, write_report
from teamnet.study.experiment.results import Result
from teamnet.study.experiment.speeds import SPEEDS, with_missing, write_speeds
from teamnet.study.experiment.study import REPORT, Planned, Study
from teamnet.study.experiment.tasks import TASKS, task_of
from teamnet.study.kept_run import ERROR_FILE, RUN_FILES, files_of_run, keep_error, keep_run
from teamnet.training.registry import check_installed
from teamnet.training.run_files import check_writable, make_folder
from teamnet.values import check_choice, check_count


@dataclass(frozen=True)
class Choice:
    """The requested runs of a study.

    Args:
        tasks, methods: by name; empty for all tasks, and for all default methods.
        seeds: how many.
        first_seed: the first one.
    """

    tasks: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    seeds: int = 10
    first_seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """The outcome of a study: its report, all results, the runs finished now, and the runs that failed."""

    report: Path
    results: list[Result]
    done: list[Planned] = field(default_factory=list)
    failed: list[Planned] = field(default_factory=list)


def plan(study: Study, choice: Choice) -> list[Planned]:
    """The requested runs, seed by seed, so that an early end leaves every cell with the same number.

    Raises:
        SpecError: a task or method is unknown, or there is no such run.
    """
    if not study.experiment.takes_any:
        for name in choice.tasks:
            check_choice("tasks", name, tuple(TASKS))
    for name in choice.methods:
        check_choice("methods", name, tuple(study.methods))
    check_count("seeds", choice.seeds, 1, MOST_SEEDS)
    check_count("first_seed", choice.first_seed, 0)
    if study.episodes is not None:
        check_count("episodes", study.episodes, 1)
    titles = {task.title: task.name for task in TASKS.values()}  # an environment's id is that of its preset
    tasks = dict.fromkeys(titles.get(name, name) for name in choice.tasks or TASKS)
    methods = choice.methods or tuple(name for name, method in study.methods.items() if method.usual)
    runs = [
        study.run(task, method, seed)
        for seed in range(choice.first_seed, choice.first_seed + choice.seeds)
        for task in tasks
        for method in methods
        if study.has(task, method)
    ]
    if not runs:
        possible = {task for method in methods for task in study.methods[method].tasks}
        raise SpecError(
            "tasks", expected=f"tasks that {', '.join(methods)} can be run on", found=", ".join(choice.tasks),
            remedy=f"Those are: {', '.join(sorted(possible))}.",
        )
    return runs


def run_study(
    study: Study, choice: Choice, *, address: str = "", cpus: int | None = None, report_only: bool = False,
    docs: Path | None = None, recorded: Path | None = None,
) -> Outcome:
    """Execute all requested runs that are not finished, then write the report over all finished runs.

    Args:
        study: the folder, and the experiment of its runs.
        choice: the requested runs.
        address: of a Ray cluster; empty for a private one on this machine.
        cpus: runs at the same time, if fewer than there are CPUs.
        report_only: only write the report.
        docs: a folder that receives a copy of the report.
        recorded: the folder of an earlier report, whose runs count as finished.

    Raises:
        SpecError: the choice is refused, runs of other specs are in the folder or recorded, or there are files in
            the folders that no study wrote. Nothing was run or written then.
        CheckpointError: finished runs, or their records, are damaged.
        EnvironmentRefused: an environment is not installed.
        ResourceError: no cluster responds at the address, or a method is not installed.
    """
    if cpus is not None:
        check_count("cpus", cpus, 1)
    runs = plan(study, choice)
    earlier = read_recorded(study, recorded)
    finished = all_results(study, earlier)
    known = {result.key for result in finished}
    missing = [] if report_only else [run for run in runs if run.key not in known]
    distinct = study.distinct([run.key for run in missing])
    todo = [run for run in missing if run.key in distinct]
    _check_ready(todo)
    _check_files(study, docs, [*(run.task for run in todo), *(result.task for result in finished)], todo)
    all_speeds(study, earlier)  # a damaged file is refused before anything is trained
    make_folder(study.folder)
    done, failed = _do(study, todo, len(runs) - len(todo), finished, address, cpus)
    if study.experiment.timed_task and not report_only:
        _time_methods(study, runs, earlier)
    path, results = write_report(study, earlier)
    if docs is not None:
        copy_to_docs(study, docs)
    return Outcome(path, results, done, failed)


def _check_ready(todo: Sequence[Planned]) -> None:
    """Refuse methods, specs and environments that this installation cannot run, before anything is started."""
    for run in todo:
        if isinstance(run.spec, RunSpec):
            check_run(run.spec)
        else:
            check_algorithm(run.spec.algorithm)
    for task in dict.fromkeys(run.task for run in todo):
        if task in ENVIRONMENTS:
            check_installed(task)


def _check_files(study: Study, docs: Path | None, tasks: Sequence[str], todo: Sequence[Planned]) -> None:
    """Refuse to replace files that no study wrote, before anything is started or written.

    Raises:
        SpecError: naming the file.
    """
    names = [task_of(task).file_name for task in dict.fromkeys(tasks)]
    figures = [f"figures/{name}.png" for name in (*names, "communication", "front", "frontier", "depth")]
    for files, option in ((study.files, "out"), (docs_files(docs) if docs is not None else None, "docs")):
        if files:
            check_folder(option, files.folder)
            check_writable(files.folder, option)
            files.check((REPORT, RESULTS, INVOCATIONS, SPEEDS, *figures))
    for run in todo:
        check_writable(run.folder)
        files_of_run(run.folder).check((*RUN_FILES, ERROR_FILE))


def _do(
    study: Study, todo: Sequence[Planned], before: int, finished: Sequence[Result], address: str, cpus: int | None
) -> tuple[list[Planned], list[Planned]]:
    """Execute runs and store each as it ends; returns those that finished and those that failed."""
    if not todo:
        return [], []
    from teamnet.team.ray_tasks import Job, run_jobs  # imported here: a report needs no Ray

    done: list[Planned] = []
    failed: list[Planned] = []
    progress, log = StudyProgress(todo, before, finished), InvocationLog(study.files)
    jobs = [Job(execute, (run.spec,)) for run in todo]
    try:
        with closing(run_jobs(jobs, address=address, most_at_once=cpus, waiting=progress.waiting)) as outcomes:
            for outcome in outcomes:
                run = todo[outcome.number]
                progress.ended(outcome.number, outcome.error)
                if outcome.error:
                    keep_error(run.folder, outcome.error)
                    failed.append(run)
                else:
                    keep_run(run.folder, outcome.value)
                    done.append(run)
                    log.finished(progress.at_once)
    finally:
        progress.close()
    return done, failed


def _time_methods(study: Study, runs: Sequence[Planned], earlier: Recorded) -> None:
    """Measure the speeds of all methods, if a requested one has runs but no speed."""
    task = study.experiment.timed_task
    present = {result.method for result in all_results(study, earlier) if result.task == task}
    wanted = present & {run.method for run in runs if run.task == task}
    write_speeds(study.files, with_missing(study, all_speeds(study, earlier), wanted, present))
