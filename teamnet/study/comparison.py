"""Teams compared with baselines: the same tasks and seeds, one after the other in one process, one thread each."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from teamnet.rules.loading import is_reference
from teamnet.spec.check import MOST_SEEDS, check_folder
from teamnet.spec.files import to_plain
from teamnet.spec.presets import METHODS, check_environment, preset
from teamnet.spec.run import USUAL_RULE, LaunchSpec
from teamnet.study.baselines import ALGORITHMS, BaselineSpec, check_algorithm, train_baseline
from teamnet.study.episode_log import EpisodeLog
from teamnet.study.experiment.method import method_of_rule
from teamnet.study.experiment.table import aligned, shown
from teamnet.study.kept_run import RUN_FILES, content_of_run, files_of_run, keep_run
from teamnet.study.rates import ENDLESS
from teamnet.training.registry import check_installed, reward_threshold
from teamnet.training.run import Run
from teamnet.training.run_files import check_writable, folder_name
from teamnet.values import check_choice, check_count

_PATIENCE = 10
_LARGEST_SEED = 2**32 - 1
"""Of the baselines' random streams."""


@dataclass(frozen=True)
class Comparison:
    """The result of one learner; times in seconds of training, without start-up and compilation.

    Args:
        task, algorithm, seed: which learner.
        threshold: the 100-episode mean return to reach.
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


def compare(
    tasks: Sequence[str], algorithms: Sequence[str], seeds: Sequence[int], *, until: float | None,
    episodes: int | None, out: Path | None, overwrite: bool = False,
    finished: Callable[[Comparison], None] = lambda result: None,
) -> list[Comparison]:
    """Train every algorithm on every task with every seed.

    Args:
        tasks: presets of Gymnasium environments, Gymnasium ids, or environments of a user's own.
        algorithms: presets, such as ``map`` and ``tuned``, rules of a user's own, and ``a2c`` and ``ppo``.
        seeds: of all random streams.
        until: a run ends when its 100-episode mean reaches this; if left out, runs have all their episodes, and the
            time to reach the environment's own threshold is recorded.
        episodes: the most that a run has; if left out, the preset's, with ``until`` ten times as many.
        out: receives a folder for each run when it is finished; ``None`` writes nothing.
        overwrite: whether runs in ``out`` may be replaced.
        finished: called with each result when its run ends, before its ratio is known.

    Raises:
        TeamnetError: a task or algorithm is unknown, something is not installed, or ``out`` has a run already or
            other files; nothing was run then.
    """
    _check(tasks, algorithms, seeds, episodes)
    runs = [(task, algorithm, seed) for task in tasks for seed in seeds for algorithm in algorithms]
    names = {name: method_of_rule(name).name if is_reference(name) else name for name in algorithms}
    folders = [] if out is None else [
        out / folder_name(task) / names[algorithm] / f"seed-{seed}" for task, algorithm, seed in runs
    ]
    if out is not None:
        check_folder("out", out)
    for folder in folders:
        check_writable(folder)
        files_of_run(folder).check_new(RUN_FILES, overwrite=overwrite)
    results = []
    for number, (task, algorithm, seed) in enumerate(runs):
        default_episodes = (preset(task).episodes or 1) * (1 if until is None else _PATIENCE)
        threshold = reward_threshold(task) if until is None else until
        log = EpisodeLog(
            default_episodes if episodes is None else episodes, threshold=threshold, stop_there=until is not None
        )
        train = _train_baseline if algorithm in ALGORITHMS else _train_team
        files = train(task, algorithm, seed, log)
        if folders:
            keep_run(folders[number], files)
        identity = task, names[algorithm], seed, threshold, log.seconds_to_threshold
        results.append(Comparison(*identity, **log.summary()))
        finished(results[-1])
    return _with_ratios(results)


def _check(tasks: Sequence[str], algorithms: Sequence[str], seeds: Sequence[int], episodes: int | None) -> None:
    for task in tasks:
        check_environment("tasks", task)
        check_installed(task)
    for algorithm in algorithms:
        if algorithm in ALGORITHMS:
            check_algorithm(algorithm)
        elif is_reference(algorithm):
            method_of_rule(algorithm)
        else:
            check_choice("algorithms", algorithm, (*METHODS, *ALGORITHMS))
    check_count("seeds", len(seeds), 1, MOST_SEEDS)
    check_count("first_seed", min(seeds), 0, _LARGEST_SEED + 1 - len(seeds))
    if episodes is not None:
        check_count("episodes", episodes, 1)


def _train_baseline(task: str, algorithm: str, seed: int, log: EpisodeLog) -> dict[str, bytes]:
    return train_baseline(BaselineSpec(task, algorithm, seed, log.wanted), log)


def _train_team(task: str, method: str, seed: int, log: EpisodeLog) -> dict[str, bytes]:
    """Train a preset in this process; returns the content of its files."""
    spec = replace(preset(task, method), seed=seed, env_steps=ENDLESS, episodes=None)  # the log alone ends the run
    run = Run(spec, LaunchSpec(backend="local"))
    try:
        log.begin()
        while not log.over:
            for episode in run.advance():
                log.ended(episode.env_steps, episode.total, episode.length)
    finally:
        run.close()
    summary = {"task": task, "method": method, "seed": seed, **log.summary()}
    return content_of_run(to_plain(run.spec), log.lines, summary)


def _with_ratios(results: Sequence[Comparison]) -> list[Comparison]:
    map_seconds = {
        (result.task, result.seed): result.seconds_to_threshold
        for result in results if result.algorithm == USUAL_RULE
    }

    def ratio(result: Comparison) -> float | None:
        seconds, reference = result.seconds_to_threshold, map_seconds.get((result.task, result.seed))
        return seconds / reference if seconds is not None and reference else None

    return [replace(result, ratio=ratio(result)) for result in results]


def result_lines(results: Sequence[Comparison]) -> list[str]:
    """The table, a line for each result, then the median ratio of every algorithm."""
    lines = aligned(
        ("task", "algorithm", "seed", "mean of 100", "reached in", "of MAP", "steps/s", "episodes", "mean return",
         "seconds"),
        [
            [
                result.task, result.algorithm, str(result.seed), shown(result.threshold, "{:g}"),
                "never" if result.seconds_to_threshold is None else f"{result.seconds_to_threshold:.1f} s",
                shown(result.ratio, "{:.1f}x"), f"{result.env_steps_per_second:,.0f}", f"{result.episodes:,}",
                f"{result.mean_return:.2f}", f"{result.seconds:.1f}",
            ]
            for result in results
        ],
    )
    ratios: dict[tuple[str, str], list[float]] = {}
    for result in results:
        if result.ratio is not None and result.algorithm != USUAL_RULE:
            ratios.setdefault((result.task, result.algorithm), []).append(result.ratio)
    return [*lines, *(
        f"{task}: {algorithm} needed {statistics.median(values):.1f} times as long as map (median of {len(values)})"
        for (task, algorithm), values in ratios.items()
    )]
