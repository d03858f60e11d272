"""Teams and their peers side by side: the same tasks and seeds, one after the other in one process, one thread each."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from teamnet.spec.check import MOST_SEEDS, check_choice, check_count, check_folder
from teamnet.spec.files import to_plain
from teamnet.spec.presets import ENVIRONMENTS, METHODS, preset
from teamnet.spec.run import LaunchSpec
from teamnet.study.episode_log import EpisodeLog
from teamnet.study.kept_run import RUN_FILES, content_of_run, files_of_run, keep_run
from teamnet.study.peers import ALGORITHMS, check_algorithm, run_peer
from teamnet.training.registry import check_installed, reward_threshold
from teamnet.training.run import Run
from teamnet.training.run_files import check_writable

CONTESTANTS = (*METHODS, *ALGORITHMS)
_PATIENCE = 10
_LARGEST_SEED = 2**32 - 1
"""Of the peers' random streams."""


@dataclass(frozen=True)
class Finish:
    """How one contestant did; times in seconds of training, start-up and compilation apart.

    Args:
        task, algorithm, seed: which contestant.
        threshold: the 100-episode mean that was waited for.
        seconds_to_threshold: when it was reached; ``None`` if it was not.
        env_steps, episodes, mean_return, seconds, env_steps_per_second: of the whole run.
        ratio: ``seconds_to_threshold`` as a multiple of MAP's with the same task and seed, if both reached it.
    """

    task: str
    algorithm: str
    seed: int
    threshold: float | None
    seconds_to_threshold: float | None
    env_steps: int
    episodes: int
    mean_return: float
    seconds: float
    env_steps_per_second: float
    ratio: float | None = None


def race(
    tasks: Sequence[str], algorithms: Sequence[str], seeds: Sequence[int], *, until: float | None,
    episodes: int | None, out: Path | None, overwrite: bool = False,
    finished: Callable[[Finish], None] = lambda finish: None,
) -> list[Finish]:
    """Let every algorithm learn every task with every seed.

    Args:
        tasks: presets of Gymnasium environments.
        algorithms: presets of ours, such as ``map`` and ``tuned``, and ``a2c`` and ``ppo``.
        seeds: of all random streams.
        until: a run ends when its 100-episode mean reaches this; if left out, runs have all their episodes, and the
            environment's own threshold is timed on the way.
        episodes: the most that a run has; if left out, the preset's, with ``until`` ten times as many.
        out: gets a folder for each run when it is finished; ``None`` keeps nothing.
        overwrite: whether runs in ``out`` may be replaced.
        finished: called with every result as it comes, still without its ratio.

    Raises:
        TeamnetError: a task or algorithm is unknown, something is not installed, or ``out`` has a run already or
            other files; nothing was run then.
    """
    for task in tasks:
        check_choice("tasks", task, tuple(ENVIRONMENTS))
        check_installed(task)
    for algorithm in algorithms:
        check_choice("algorithms", algorithm, CONTESTANTS)
        if algorithm in ALGORITHMS:
            check_algorithm(algorithm)
    check_count("seeds", len(seeds), 1, MOST_SEEDS)
    check_count("first_seed", min(seeds), 0, _LARGEST_SEED + 1 - len(seeds))
    if episodes is not None:
        check_count("episodes", episodes, 1)
    if out is not None:
        folders = [_folder(out, task, name, seed) for task in tasks for name in algorithms for seed in seeds]
        _check_out(out, folders, overwrite=overwrite)
    results = []
    for task in tasks:
        usual = preset(task).episodes or 1
        most = episodes if episodes is not None else usual if until is None else _PATIENCE * usual
        threshold = reward_threshold(task) if until is None else until
        for seed in seeds:
            for algorithm in algorithms:
                log = EpisodeLog(most, threshold=threshold, stop_there=until is not None)
                learn = _run_team if algorithm in METHODS else run_peer
                spec, summary = learn(task, algorithm, seed, log)
                if out is not None:
                    keep_run(_folder(out, task, algorithm, seed), content_of_run(spec, log.lines, summary))
                result = Finish(
                    task, algorithm, seed, threshold, log.seconds_to_threshold,
                    **{name: summary[name] for name in log.summary()},
                )
                finished(result)
                results.append(result)
    return _with_ratios(results)


def _folder(out: Path, task: str, algorithm: str, seed: int) -> Path:
    return out / task / algorithm / f"seed-{seed}"


def _check_out(out: Path, folders: Sequence[Path], *, overwrite: bool) -> None:
    """Refuse what runs could not be written to.

    Raises:
        SpecError: there is a run, or a file that no run of a study wrote.
    """
    check_folder("out", out)
    for folder in folders:
        check_writable(folder)
        files_of_run(folder).check_new(RUN_FILES, overwrite=overwrite)


def _run_team(task: str, algorithm: str, seed: int, log: EpisodeLog) -> tuple[dict[str, Any], dict[str, Any]]:
    """The preset in this process; returns its spec and its summary."""
    spec = replace(preset(task, algorithm), seed=seed, env_steps=2**40, episodes=None)  # the only bound is the log's
    run = Run(spec, LaunchSpec(backend="local"))
    try:
        log.begin()
        while not log.over:
            for episode in run.advance():
                log.ended(episode.env_steps, episode.total, episode.length)
    finally:
        run.close()
    return to_plain(run.spec), {"task": task, "method": algorithm, "seed": seed, **log.summary()}


def _with_ratios(results: Sequence[Finish]) -> list[Finish]:
    of_map = {
        (result.task, result.seed): result.seconds_to_threshold for result in results if result.algorithm == "map"
    }

    def ratio(result: Finish) -> float | None:
        mine, other = result.seconds_to_threshold, of_map.get((result.task, result.seed))
        return mine / other if mine is not None and other else None

    return [replace(result, ratio=ratio(result)) for result in results]


def result_lines(results: Sequence[Finish]) -> list[str]:
    """The table, a line for each result, then the median ratio of every algorithm."""
    lines = [
        f"{'task':12} {'algorithm':9} {'seed':>4} {'mean of 100':>11} {'reached in':>10} {'of MAP':>7} {'steps/s':>9}"
        f" {'episodes':>8} {'mean return':>11} {'seconds':>9}"
    ]
    for its in results:
        threshold = "-" if its.threshold is None else f"{its.threshold:g}"
        reached = "never" if its.seconds_to_threshold is None else f"{its.seconds_to_threshold:.1f} s"
        ratio = "-" if its.ratio is None else f"{its.ratio:.1f}x"
        lines.append(
            f"{its.task:12} {its.algorithm:9} {its.seed:4} {threshold:>11} {reached:>10} {ratio:>7}"
            f" {its.env_steps_per_second:9,.0f} {its.episodes:8,} {its.mean_return:11.2f} {its.seconds:9.1f}"
        )
    for task in dict.fromkeys(its.task for its in results):
        for algorithm in dict.fromkeys(its.algorithm for its in results):
            ratios = [
                its.ratio for its in results
                if its.ratio is not None and (its.task, its.algorithm) == (task, algorithm)
            ]
            if ratios and algorithm != "map":
                lines.append(
                    f"{task}: {algorithm} needed {statistics.median(ratios):.1f} times as long as map"
                    f" (median of {len(ratios)})"
                )
    return lines


def as_plain(results: Sequence[Finish]) -> list[dict[str, Any]]:
    """The results as JSON types."""
    return [asdict(result) for result in results]
