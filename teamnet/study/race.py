"""Teams and their peers side by side: the same tasks and seeds, one after the other in one process, one thread each."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import teamnet
from teamnet.spec.check import MOST_SEEDS, check_choice, check_count
from teamnet.spec.files import to_plain
from teamnet.spec.presets import ENVIRONMENTS, METHODS, preset
from teamnet.spec.run import LaunchSpec
from teamnet.study.episode_log import EpisodeLog, write_json
from teamnet.study.peers import ALGORITHMS, run_peer
from teamnet.training.registry import check_installed, reward_threshold
from teamnet.training.run import Run

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
    episodes: int | None, out: Path | None, finished: Callable[[Finish], None] = lambda finish: None,
) -> list[Finish]:
    """Let every algorithm learn every task with every seed.

    Args:
        tasks: presets of Gymnasium environments.
        algorithms: presets of ours, such as ``map`` and ``tuned``, and ``a2c`` and ``ppo``.
        seeds: of all random streams.
        until: a run ends when its 100-episode mean reaches this; if left out, runs have all their episodes, and the
            environment's own threshold is timed on the way.
        episodes: the most that a run has; if left out, the preset's, with ``until`` ten times as many.
        out: gets a folder for each run; ``None`` keeps nothing.
        finished: called with every result as it comes, still without its ratio.

    Raises:
        TeamnetError: a task or algorithm is unknown, or something is not installed.
    """
    for task in tasks:
        check_choice("tasks", task, tuple(ENVIRONMENTS))
        check_installed(task)
    for algorithm in algorithms:
        check_choice("algorithms", algorithm, CONTESTANTS)
    check_count("seeds", len(seeds), 1, MOST_SEEDS)
    check_count("first_seed", min(seeds), 0, _LARGEST_SEED + 1 - len(seeds))
    results = []
    for task in tasks:
        usual = preset(task).episodes or 1
        most = episodes if episodes is not None else usual if until is None else _PATIENCE * usual
        threshold = reward_threshold(task) if until is None else until
        for seed in seeds:
            for algorithm in algorithms:
                folder = out / task / algorithm / f"seed-{seed}" if out else None
                log = EpisodeLog(most, threshold=threshold, stop_there=until is not None, folder=folder)
                try:
                    learn = _run_team if algorithm in METHODS else run_peer
                    summary = learn(task, algorithm, seed, log, folder)
                finally:
                    log.close()
                result = Finish(
                    task, algorithm, seed, threshold, log.seconds_to_threshold,
                    **{name: summary[name] for name in log.summary()},
                )
                finished(result)
                results.append(result)
    return _with_ratios(results)


def _run_team(task: str, algorithm: str, seed: int, log: EpisodeLog, folder: Path | None) -> dict[str, Any]:
    """The preset in this process."""
    spec = replace(preset(task, algorithm), seed=seed, env_steps=2**40, episodes=None)  # the only bound is the log's
    run = Run(spec, LaunchSpec(backend="local"))
    try:
        log.begin()
        while not log.over:
            for episode in run.advance():
                log.ended(episode.env_steps, episode.total, episode.length)
    finally:
        run.close()
    summary = {"task": task, "method": algorithm, "seed": seed, **log.summary()}
    if folder:
        write_json(folder / "spec.json", {"version": teamnet.__version__, "spec": to_plain(run.spec)})
        write_json(folder / "summary.json", summary)
    return summary


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
