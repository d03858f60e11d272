"""``learning_curve.png``: the returns of a run, and their running mean."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np

from teamnet.training.atomic import write_atomically
from teamnet.training.checkpoint_content import RUN
from teamnet.training.metrics import read_metrics

CURVE = "learning_curve.png"
WINDOW = 100
"""Episodes over which the running return is averaged."""
_OWNER = "teamnet run"


def running_mean(values: np.ndarray, window: int = WINDOW) -> np.ndarray:
    """Means ``(n,)`` over the last ``window`` values, over all so far at the beginning."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - window)
    return (sums[ends] - sums[starts]) / (ends - starts)


def draw_learning_curve(folder: Path, run: str, title: str) -> None:
    """Draw every return, and their running mean over a hundred episodes, by environment step.

    Args:
        folder: of the run.
        run: its identity, which becomes a text chunk of the picture.
        title: of the picture.

    Raises:
        ResourceError: it cannot be written.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    lines = read_metrics(folder)
    if not lines:
        return
    steps = np.array([line["env_steps"] for line in lines])
    returns = np.array([line["return"] for line in lines])
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.plot(steps, returns, ".", markersize=3, color="#9db8d9", label="return")
    axes.plot(steps, running_mean(returns), color="#1f4e8c", label=f"mean of {WINDOW}")
    axes.set(xlabel="environment steps", ylabel="return", title=title)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=150, metadata={_OWNER: run})
    plt.close(figure)
    write_atomically(folder / CURVE, picture.getvalue(), run)


def run_of_curve(path: Path) -> str:
    """The run that drew a picture; empty for any other file."""
    from PIL import Image, UnidentifiedImageError  # imported late: most commands read no picture

    if path.is_symlink() or not path.is_file():
        return ""
    try:
        with Image.open(path) as picture:
            run = str(picture.info.get(_OWNER, ""))
            return run if RUN.fullmatch(run) else ""
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError):
        return ""
