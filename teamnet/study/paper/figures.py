"""Figures: one for each task, the running mean of every method with its spread over the seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from teamnet.study.paper.methods import Method
from teamnet.study.paper.results import Curve, Result
from teamnet.study.paper.tasks import StudyTask
from teamnet.training.outputs import WINDOW

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31", "#7F3C8D", "#8a9a1a")
"""Okabe and Ito's palette, which colour-blind readers can tell apart, brown for its yellow; violet and olive."""
_DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
_PALETTE = 256


def average_curves(curves: Sequence[Curve], task: StudyTask) -> tuple[np.ndarray, ...]:
    """What a figure shows of some smoothed runs: positions, means, and both edges of a band of one standard deviation.

    A negative error is averaged as the logarithm of the error, because its scale differs between seeds. The band has
    no width for a single run.

    Returns:
        Four arrays ``(points,)``, at the positions of the shortest run.
    """
    position = min((curve.position for curve in curves), key=lambda its: its[-1])
    values = np.stack([np.interp(position, curve.position, curve.value) for curve in curves])
    if task.negative_error:
        values = np.log10(np.maximum(-values, np.finfo(float).tiny))
    mean = values.mean(axis=0)
    deviation = values.std(axis=0, ddof=1) if len(curves) > 1 else np.zeros(len(position))
    shown = [mean, mean - deviation, mean + deviation]
    return position, *(10**its if task.negative_error else its for its in shown)


def describe_axis(task: StudyTask) -> str:
    """What the vertical axis of a task's figure shows."""
    if task.negative_error:
        return "squared error, mean of 12,800 samples"
    return "reward, mean of 12,800 samples" if task.single_step else f"return, mean of {WINDOW} episodes"


def draw_task(
    task: StudyTask, results: Mapping[str, Sequence[Result]], methods: Mapping[str, Method], path: Path
) -> bool:
    """Draw one task's figure as a PNG file; says whether there was a curve to draw.

    Args:
        task: the task.
        results: the finished runs of each method that has some; those whose curves were not kept are not drawn.
        methods: all known methods; one keeps its colour from figure to figure.
        path: of the file.
    """
    if not any(run.curve for runs in results.values() for run in runs):
        return False
    import matplotlib as mpl  # late: most commands draw nothing

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9.5, 4.2), layout="constrained")
    for number, (name, method) in enumerate(methods.items()):
        runs = results.get(name, ())
        curves = [run.curve for run in runs if run.curve is not None]
        if not curves:
            continue
        position, mean, low, high = average_curves(curves, task)
        position = position / (1e6 if task.single_step else 1)
        count = f"{len(curves)}" if len(curves) == len(runs) else f"{len(curves)} of {len(runs)}"
        colour = COLOURS[number % len(COLOURS)]
        axes.fill_between(position, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(
            position, mean, color=colour, linestyle=_DASHES[number % len(_DASHES)], linewidth=1.8,
            label=f"{method.label} ({count})",
        )
    if task.solved is not None:
        axes.axhline(task.solved, color="#666666", linewidth=0.8, linestyle=":", label=f"solved at {task.solved:g}")
    if task.negative_error:
        axes.set_yscale("log")
    axes.set(title=task.title, xlabel="million samples" if task.single_step else "episode", ylabel=describe_axis(task))
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.01)
    figure.legend(loc="outside right upper", frameon=False, fontsize=9, handlelength=2.6)
    path.parent.mkdir(parents=True, exist_ok=True)
    save(figure, path)
    plt.close(figure)
    return True


def save(figure: Figure, path: Path) -> None:
    """As a PNG with a palette, which takes a third of the space."""
    from PIL import Image

    drawn = BytesIO()
    figure.savefig(drawn, dpi=100)
    Image.open(drawn).convert("RGB").quantize(_PALETTE, Image.Quantize.MAXCOVERAGE).save(path, optimize=True)
