"""What TensorBoard is told, read back record by record."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto import event_pb2

from teamnet.errors import ResourceError
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.training.run import Run
from teamnet.training.session import train
from teamnet.training.tensorboard import TensorBoardEvents
from tests.training.event_files import events_in

SPEC, LOCAL = replace(preset("cartpole"), hidden=(6,), env_steps=300, episodes=None), LaunchSpec("local")


def test_tensorboard_is_told_every_return_and_what_is_void(tmp_path: Path):
    train(SPEC, LOCAL, tmp_path)
    (path,) = (tmp_path / "tensorboard").iterdir()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    said = [(its.step, value.tag, value.simple_value) for its in events_in(path) for value in its.summary.value]
    assert said == [
        (line["env_steps"], f"episode/{name}", line[name]) for line in lines for name in ("return", "length")
    ]
    run = Run(SPEC, LOCAL)
    run.identity = path.name.split(".")[-2]
    events = TensorBoardEvents(tmp_path, run)
    run.advance(lambda: run.task.env_steps >= 50)
    events.rewind(run, {})
    events.close()
    run.close()
    newest = max((tmp_path / "tensorboard").iterdir(), key=lambda its: int(its.suffix[1:]))
    start = events_in(newest)[-1]
    assert (start.step, start.session_log.status) == (run.task.env_steps + 1, event_pb2.SessionLog.START)
    assert len(list((tmp_path / "tensorboard").iterdir())) == 3


def test_a_full_disk_ends_the_run_with_words_and_does_not_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(its: EventsWriter) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(EventsWriter, "flush", full)
    with pytest.raises(ResourceError, match="tensorboard: expected room for it; found .*No space left.*teamnet resume"):
        train(SPEC, LOCAL, tmp_path)
