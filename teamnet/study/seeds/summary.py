"""What the runs of many seeds have in common: a summary, and a curve with its mean and band."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from teamnet.errors import TeamnetError
from teamnet.spec.former import renewed
from teamnet.spec.run import SINGLE_STEP_TASKS, at_end
from teamnet.study.experiment.curves import average_curves, describe_axis
from teamnet.study.experiment.figure import COLOURS, as_png, new_figure
from teamnet.study.experiment.results import Curve
from teamnet.study.experiment.statistics import spread
from teamnet.study.experiment.tasks import task_of
from teamnet.study.seeds.many import seed_folder
from teamnet.training.owned_files import OwnedFiles
from teamnet.training.run_files import read_run_files

SUMMARY, FIGURE = "seeds.json", "learning_curve.png"
_OF_A_RUN = ("seed", "mean_return", "episodes", "env_steps", "stopped", "seconds", "env_steps_per_second", "digest")


def files_of_seeds(folder: Path) -> OwnedFiles:
    """The files of a summary in the folder of the runs."""
    return OwnedFiles(folder, "seeds")


def summarise(folder: Path, summaries: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Write ``seeds.json`` and ``learning_curve.png``; returns the content of the former.

    Args:
        folder: of the runs.
        summaries: of the finished runs, by seed.

    Raises:
        SpecError: a file with one of these names is not teamnet's own.
    """
    runs = [{name: found[name] for name in _OF_A_RUN if name in found} for _, found in sorted(summaries.items())]
    returns = [run["mean_return"] for run in runs if run["mean_return"] is not None]
    task = str(next(iter(summaries.values()))["task"])
    found = spread(returns, task)
    unknown = dict.fromkeys(("std", "low", "high")) if len(returns) == 1 else {}
    content = {"task": task, "mean_return": None if found is None else {**asdict(found), **unknown}, "runs": runs}
    files = files_of_seeds(folder)
    files.write(SUMMARY, (json.dumps(content, indent=1) + "\n").encode())
    if figure := _figure(folder, task, sorted(summaries)):
        files.write(FIGURE, figure)
    return content


def finished_seeds(folder: Path, like: Collection[int]) -> dict[int, dict[str, Any]]:
    """The summaries of the finished runs in a folder, by seed, whose specs are those of some seeds but for the seed.

    Specs are compared as the runs have written them: with values that are fitted to the environment, and with the files
    of a user's rule, functions and environment.

    Args:
        folder: of the runs.
        like: seeds of runs there that have ended.
    """
    found: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {}
    for path in folder.glob("seed-*"):
        try:
            files = read_run_files(path)
            spec = {**renewed(files.about["spec"]), "sha256": files.about.get("sha256")}
            seed, summary = spec.pop("seed"), files.summary or {}
            ended = "stopped" in summary or at_end(summary, env_steps=spec["env_steps"], episodes=spec["episodes"])
        except (TeamnetError, KeyError):
            continue
        if ended and path == seed_folder(folder, seed):
            found[seed] = spec, summary
    alike = [found[seed][0] for seed in like if seed in found]
    return {seed: summary for seed, (spec, summary) in found.items() if spec in alike}


def _figure(folder: Path, name: str, seeds: Sequence[int]) -> bytes | None:
    """Thin lines of the runs, their mean and its 95 % interval; ``None`` if no run has an episode."""
    task = task_of(name)
    position_of = "env_steps" if name in SINGLE_STEP_TASKS else "episode"
    curves = []
    for seed in seeds:
        lines = read_run_files(seed_folder(folder, seed)).lines
        if lines:
            positions, returns = ([line[key] for line in lines] for key in (position_of, "return"))
            curves.append(Curve(np.array(positions), np.array(returns, float)).smoothed(task))
    if not curves:
        return None
    position, mean, low, high = average_curves(curves, task)
    figure, ((axes,),) = new_figure(1, 1, 8.0, 4.2)
    for curve in curves:
        value = -curve.value if task.negative_error else curve.value
        axes.plot(curve.position, value, color=COLOURS[0], linewidth=0.6, alpha=0.35)
    if task.negative_error:
        axes.set_yscale("log")
    if len(curves) > 1:
        axes.fill_between(position, low, high, color=COLOURS[0], alpha=0.2, linewidth=0)
    axes.plot(position, mean, color=COLOURS[0], linewidth=2.0, label=f"mean of {len(curves)} seeds, 95 % interval")
    axes.set(title=task.title, xlabel="samples" if task.single_step else "episode", ylabel=describe_axis(task))
    axes.margins(x=0.01)
    axes.legend(frameon=False, loc="best")
    return as_png(figure)


def result_lines(content: Mapping[str, Any]) -> list[str]:
    """The summary as a table."""
    lines = [f"{'seed':>8} {'mean return':>12} {'episodes':>9} {'env steps':>11} {'seconds':>9}  digest"]
    for run in content["runs"]:
        mean = "none" if run["mean_return"] is None else f"{run['mean_return']:.2f}"
        lines.append(
            f"{run['seed']:8} {mean:>12} {run['episodes']:9,} {run['env_steps']:11,} {run['seconds']:9.1f}  "
            f"{run['digest'][:12]}" + (f"  {run['stopped']}" if "stopped" in run else "")
        )
    found = content["mean_return"]
    if found and found["n"] == 1:
        lines.append(f"mean return {found['mean']:.2f} of one seed")
    elif found:
        lines.append(
            f"mean return {found['mean']:.2f}, standard deviation {found['std']:.2f} over {found['n']} seeds, 95 % "
            f"interval of the mean {found['low']:.2f} to {found['high']:.2f}"
        )
    return lines
