"""Learning curves: a figure for each task, the running mean of every method with its interval over the seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from teamnet.study.experiment.figure import COLOURS, as_png, new_figure
from teamnet.study.experiment.method import Method
from teamnet.study.experiment.results import Curve, Result
from teamnet.study.experiment.statistics import interval_of_mean
from teamnet.study.experiment.tasks import StudyTask
from teamnet.training.learning_curve import WINDOW

_DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))


def average_curves(curves: Sequence[Curve], task: StudyTask) -> tuple[np.ndarray, ...]:
    """The line and band of smoothed runs in a figure: positions, means over the runs, and both edges of the band.

    The band is the 95 % interval of the mean, by bootstrap as in the tables. A band of one standard deviation
    would exceed the task's bounds where runs are close to them; the interval stays within the range of the runs. A
    negative error is averaged as the logarithm of the error, because its scale differs between seeds.

    Returns:
        Four arrays ``(points,)``, at the positions of the shortest run. The band has no width for a single run.
    """
    position = min((curve.position for curve in curves), key=lambda positions: positions[-1])
    values = np.stack([np.interp(position, curve.position, curve.value) for curve in curves])
    if task.negative_error:
        values = np.log10(np.maximum(-values, np.finfo(float).tiny))
    mean = np.clip(values.mean(axis=0), values.min(axis=0), values.max(axis=0))  # rounding can exceed the range
    drawn = (mean, *interval_of_mean(values, task.name))
    return position, *(10**edge if task.negative_error else edge for edge in drawn)


def describe_axis(task: StudyTask) -> str:
    """The label of the vertical axis of a task's figure."""
    if task.single_step:
        return f"{'squared error' if task.negative_error else 'reward'}, mean of 100 batches"
    return f"return, mean of {WINDOW} episodes"


def describe_figure(task: StudyTask, results: Mapping[str, Sequence[Result]]) -> str:
    """The caption of a task's figure, with the runs whose curves were not recorded.

    Args:
        task: the task.
        results: the finished runs of each method.
    """
    axis, mean = describe_axis(task), "geometric means" if task.negative_error else "means"
    text = (
        f"{axis[0].upper()}{axis[1:]}. Lines are {mean} over n runs, bands the 95 % interval of the mean by bootstrap, "
        "where n is 2 or more."
    )
    missing = {name: sum(run.curve is None for run in runs) for name, runs in results.items()}
    listed = [f"{count} of {len(results[name])} of `{name}`" for name, count in missing.items() if count]
    if listed:
        text += f" Runs whose curves were not recorded are in no line: {', '.join(listed)}."
    return text


def draw_curves(
    task: StudyTask, results: Mapping[str, Sequence[Result]], methods: Mapping[str, Method]
) -> bytes | None:
    """One task's figure as the content of a PNG file; ``None`` where there is no curve to draw.

    Args:
        task: the task.
        results: the finished runs of each method that has some; those without a recorded curve are not drawn.
        methods: all known methods; each has the same colour in all figures.
    """
    if not any(run.curve for runs in results.values() for run in runs):
        return None
    figure, ((axes,),) = new_figure(1, 1, 9.5, 4.2)
    for number, (name, method) in enumerate(methods.items()):
        curves = [run.curve for run in results.get(name, ()) if run.curve is not None]
        if not curves:
            continue
        position, mean, low, high = average_curves(curves, task)
        position = position / (1e6 if task.single_step else 1)
        colour = COLOURS[number % len(COLOURS)]
        if len(curves) > 1:
            axes.fill_between(position, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(
            position, mean, color=colour, linestyle=_DASHES[number % len(_DASHES)], linewidth=1.8,
            label=f"{method.label} (n = {len(curves)})",
        )
    if task.solved is not None:
        axes.axhline(task.solved, color="#666666", linewidth=0.8, linestyle=":", label=f"solved at {task.solved:g}")
    if task.negative_error:
        axes.set_yscale("log")
    axes.set(title=task.title, xlabel="million samples" if task.single_step else "episode", ylabel=describe_axis(task))
    axes.margins(x=0.01)
    figure.legend(loc="outside right upper", frameon=False, fontsize=9, handlelength=2.6)
    return as_png(figure, dpi=100)
