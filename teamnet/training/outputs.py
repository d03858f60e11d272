"""What a run leaves behind and shows: metrics, TensorBoard events, learning curve, summary, and progress."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np

import teamnet
from teamnet.errors import CheckpointError, SpecError
from teamnet.spec.files import shown, to_plain
from teamnet.training.checkpoint import having_room, write_atomically
from teamnet.training.run import Run
from teamnet.training.task import Episode

WINDOW = 100
"""Episodes over which the running return is averaged."""


def running_mean(values: np.ndarray, window: int = WINDOW) -> np.ndarray:
    """Means ``(n,)`` over the last ``window`` values, over all so far at the beginning."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - window)
    return (sums[ends] - sums[starts]) / (ends - starts)


def make_folder(path: Path, name: str = "out", without: Sequence[str] = ()) -> None:
    """Make a folder that an option named, and remove what an older run left there, by patterns.

    Raises:
        SpecError: it cannot be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        for old in [old for pattern in without for old in path.glob(pattern)]:
            old.unlink()
        (path / ".writable").touch()
        (path / ".writable").unlink()
    except OSError as error:
        raise SpecError(
            name, expected="a folder that can be written to", found=str(error), mend=f"Give another --{name}."
        ) from None


class Observer(Protocol):
    """Is told of every finished episode."""

    def episodes(self, episodes: list[Episode]) -> None:
        """Take note of episodes that have just ended."""
        ...

    def rewind(self, run: Run, about: Mapping[str, Any]) -> None:
        """Forget what came after the checkpoint, with this JSON, to which ``run`` has gone back."""
        ...

    def close(self) -> None:
        """Flush and close."""
        ...


class MetricsFile:
    """``metrics.jsonl``: one line for each episode, or for each hundred batches of a single-step task.

    Args:
        folder: where it lies; lines after byte ``keep`` are cut off first, so that a resumed run writes none twice.
    """

    def __init__(self, folder: Path, keep: int = 0) -> None:
        self._path = folder / "metrics.jsonl"
        self._path.touch()
        self._file = self._path.open("r+", encoding="utf-8")
        self._cut(keep)

    def _cut(self, keep: Any) -> None:
        with having_room(self._path):
            size = self._file.seek(0, os.SEEK_END)
        if type(keep) is not int or not 0 <= keep <= size:
            raise CheckpointError(
                str(self._path), expected=f"the {shown(keep)} bytes that the checkpoint knows of", found=f"{size}",
                mend="Lines are missing: go on from the checkpoint before it, or start the run anew.",
            )
        with having_room(self._path):
            self._file.seek(keep)
            self._file.truncate(keep)

    def episodes(self, episodes: list[Episode]) -> None:
        """See :class:`Observer`."""
        for episode in episodes:
            line = {
                "env_steps": episode.env_steps, "episode": episode.episode, "return": episode.total,
                "length": episode.length,
            }
            with having_room(self._path):
                self._file.write(json.dumps(line) + "\n")

    def rewind(self, run: Run, about: Mapping[str, Any]) -> None:
        """See :class:`Observer`."""
        self._cut(about.get("metrics_bytes", 0))

    def size(self) -> int:
        """Bytes so far, all of them on their way to the disk."""
        with having_room(self._path):
            self._file.flush()
        return self._file.tell()

    def close(self) -> None:
        """See :class:`Observer`; what a full disk does not take, a run that is resumed writes again."""
        with suppress(OSError):
            self._file.close()


class TensorBoardEvents:
    """TensorBoard events of returns and lengths by environment step.

    They are written here and now: a thread of its own, as ``tensorboardX.SummaryWriter`` has, dies on a full disk
    unseen, and whoever gives it the next event waits for ever.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "tensorboard"
        self._open()

    def _open(self) -> None:
        from tensorboardX.event_file_writer import EventsWriter  # late: it takes a while, and not every run wants it

        self._folder.mkdir(exist_ok=True)
        number = len(list(self._folder.iterdir()))  # files of the same second have different names
        with having_room(self._folder):
            self._writer = EventsWriter(str(self._folder / "events"), f".{number}")

    def episodes(self, episodes: list[Episode]) -> None:
        """See :class:`Observer`."""
        from tensorboardX.summary import scalar

        with having_room(self._folder):
            for its in episodes:
                self._write(its.env_steps, summary=scalar("episode/return", its.total))
                self._write(its.env_steps, summary=scalar("episode/length", its.length))
            if episodes:
                self._writer.flush()

    def _write(self, step: int, **content: Any) -> None:
        self._writer.write_event(_event_protocol().Event(wall_time=time.time(), step=step, **content))

    def rewind(self, run: Run, about: Mapping[str, Any]) -> None:
        """See :class:`Observer`; TensorBoard itself leaves out what the new file says is void."""
        self.close()
        self._open()
        log = _event_protocol().SessionLog
        with having_room(self._folder):
            self._write(run.task.env_steps + 1, session_log=log(status=log.START))

    def close(self) -> None:
        """See :class:`Observer`."""
        with suppress(OSError):
            self._writer.close()


def _event_protocol() -> Any:
    """TensorBoard's messages, which protobuf makes when they are imported, so that no type checker knows them."""
    from tensorboardX.proto import event_pb2

    return event_pb2


class ProgressLine:
    """Episodes, running return, steps/s and time left: a live line on a terminal, else a line every ten seconds."""

    def __init__(self, run: Run, label: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._run = run
        self._recent: deque[float] = deque(maxlen=WINDOW)
        self._console = Console(stderr=True)
        self._live = self._console.is_terminal
        self._begun, self._first = time.perf_counter(), run.task.env_steps
        self._next_print = self._begun + 10
        self._bar = Progress(
            TextColumn("[bold]{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"),
            TextColumn("{task.fields[text]}"), TimeRemainingColumn(), console=self._console,
        )
        self._task = self._bar.add_task(label, total=1.0, text="")
        if self._live:
            self._bar.start()

    def episodes(self, episodes: list[Episode]) -> None:
        """See :class:`Observer`."""
        self._recent.extend(episode.total for episode in episodes)

    def rewind(self, run: Run, about: Mapping[str, Any]) -> None:
        """See :class:`Observer`."""
        self._run = run

    def show(self) -> None:
        """Bring the display up to date."""
        text = self._text()
        self._bar.update(self._task, completed=self._share(), text=text)
        if not self._live and time.perf_counter() >= self._next_print:
            self._next_print += 10
            self._console.print(f"{100 * self._share():3.0f} %  {text}", highlight=False)

    def _share(self) -> float:
        spec, task = self._run.spec, self._run.task
        shares = [
            done / end for done, end in ((task.env_steps, spec.env_steps), (task.episodes, spec.episodes)) if end
        ]
        return min(1.0, max(shares, default=0.0))

    def _text(self) -> str:
        task = self._run.task
        recent = sum(self._recent) / len(self._recent) if self._recent else float("nan")
        rate = (task.env_steps - self._first) / max(1e-9, time.perf_counter() - self._begun)
        return f"{task.episodes:,} episodes  return {recent:.2f}  {rate:,.0f} steps/s"

    def close(self) -> None:
        """See :class:`Observer`."""
        self.show()
        if self._live:
            self._bar.stop()
        else:
            self._console.print(f"{100 * self._share():3.0f} %  {self._text()}", highlight=False)


def write_spec(folder: Path, run: Run) -> None:
    """``spec.json``: the resolved spec, where it runs, and the version."""
    content = {"version": teamnet.__version__, "spec": to_plain(run.spec), "launch": to_plain(run.launch)}
    write_atomically(folder / "spec.json", json.dumps(content, indent=2).encode())


def write_summary(folder: Path, summary: dict[str, Any]) -> None:
    """``summary.json``."""
    write_atomically(folder / "summary.json", json.dumps(summary, indent=2).encode())


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of ``metrics.jsonl``."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def draw_learning_curve(folder: Path, title: str) -> None:
    """``learning_curve.png``: every return, and their running mean over a hundred episodes, by environment step."""
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
    with having_room(folder / "learning_curve.png"):
        figure.savefig(folder / "learning_curve.png", dpi=150)
    plt.close(figure)
