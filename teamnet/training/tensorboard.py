"""TensorBoard events of a run."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teamnet.training.atomic import having_room
from teamnet.training.task import Episode

if TYPE_CHECKING:
    from teamnet.training.run import Run

EVENTS = "tensorboard"


class TensorBoardEvents:
    """TensorBoard events of returns and lengths by environment step; files of the run have its identity in their name.

    They are written synchronously: a background thread, as in ``tensorboardX.SummaryWriter``, fails silently on a full
    disk, and the next event then blocks forever.

    Args:
        folder: of the run.
        run: at its first step, or at a checkpoint: events of later steps are void then.
    """

    def __init__(self, folder: Path, run: Run) -> None:
        self._folder, self._run = folder / EVENTS, run.identity
        self._open()
        if run.task.env_steps:
            self._void(run.task.env_steps + 1)

    def _open(self) -> None:
        from tensorboardX.event_file_writer import EventsWriter  # imported late: slow, and not every run needs it

        with having_room(self._folder):
            self._folder.mkdir(exist_ok=True)
            number = len(event_files(self._folder.parent, self._run))  # files of the same second have different names
            self._writer = EventsWriter(str(self._folder / "events"), f".{self._run}.{number}")

    def episodes(self, episodes: list[Episode]) -> None:
        """See :class:`teamnet.training.outputs.Observer`."""
        from tensorboardX.summary import scalar

        with having_room(self._folder):
            for episode in episodes:
                self._write(episode.env_steps, summary=scalar("episode/return", episode.total))
                self._write(episode.env_steps, summary=scalar("episode/length", episode.length))
            if episodes:
                self._writer.flush()

    def _write(self, step: int, **content: Any) -> None:
        self._writer.write_event(_event_protocol().Event(wall_time=time.time(), step=step, **content))

    def rewind(self, run: Run, about: Mapping[str, Any]) -> None:
        """See :class:`teamnet.training.outputs.Observer`; TensorBoard drops the events that the new file voids."""
        self.close()
        self._open()
        self._void(run.task.env_steps + 1)

    def _void(self, step: int) -> None:
        """Void the events of earlier files from a step on."""
        log = _event_protocol().SessionLog
        with having_room(self._folder):
            self._write(step, session_log=log(status=log.START))

    def close(self) -> None:
        """See :class:`teamnet.training.outputs.Observer`."""
        with suppress(OSError):
            self._writer.close()


def event_files(folder: Path, run: str) -> list[Path]:
    """The event files of a run in its folder, in the order of their names."""
    own = re.compile(rf"events\.out\.tfevents\.\d+\..+\.{run}\.\d+")
    return sorted(path for path in (folder / EVENTS).glob("events.*") if own.fullmatch(path.name))


def _event_protocol() -> Any:
    """TensorBoard's protobuf messages, which are generated at import, so that no type checker knows them."""
    from tensorboardX.proto import event_pb2

    return event_pb2
