"""Loggers: each episode to a CSV file, to TensorBoard, to Weights & Biases or to MLflow."""

from __future__ import annotations

import csv
import fcntl
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from teamnet.errors import SpecError, TeamnetError, shown
from teamnet.spec.files import to_plain
from teamnet.training.atomic import having_room
from teamnet.training.callback import Callback
from teamnet.training.run import Run
from teamnet.training.task import Episode
from teamnet.training.tensorboard import TensorBoardEvents


class CsvLogger(Callback):
    """A line for each episode: ``env_steps``, ``episode``, ``return``, ``length``, ``seed``, ``run``.

    An episode that is done again, after a lost actor or an interrupt that was not saved, has a second line: of the
    lines of a ``run`` with the same ``episode``, the last one counts.

    Args:
        path: of the file; lines are added to one that exists. Several runs can write to one at the same time.
    """

    COLUMNS = "env_steps", "episode", "return", "length", "seed", "run"

    def __init__(self, path: str | Path) -> None:
        self._path, self._file = Path(path).absolute(), None
        self._rows: Any = None

    def on_start(self, run: Run) -> None:
        """Open the file.

        Raises:
            SpecError: it has other columns.
            ResourceError: it cannot be written.
        """
        with having_room(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] | None = self._path.open("a", newline="", buffering=1)  # a line is written at once
            self._rows = csv.writer(self._file)
            fcntl.flock(self._file, fcntl.LOCK_EX)
            if self._path.stat().st_size == 0:
                self._rows.writerow(self.COLUMNS)
            fcntl.flock(self._file, fcntl.LOCK_UN)
        with self._path.open("rb") as file:
            first, header = file.readline().rstrip(b"\r\n"), ",".join(self.COLUMNS)
        if first != header.encode():
            raise SpecError(
                "path", expected=f"a new file, or one with the columns {header}",
                found=shown(first.decode(errors="replace")), remedy="Give another file.",
            )

    def on_episode(self, run: Run, episode: Episode) -> None:
        """Write a line."""
        self._rows.writerow(
            (episode.env_steps, episode.episode, episode.total, episode.length, run.spec.seed, run.identity)
        )

    def on_end(self, run: Run) -> None:
        """Close the file."""
        if self._file:
            with having_room(self._path):
                self._file.close()


class TensorBoardLogger(Callback):
    """Returns and lengths of episodes as TensorBoard events, as runs with a folder have them anyway.

    Args:
        folder: gets a folder ``tensorboard``.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder).absolute()
        self._events: TensorBoardEvents | None = None

    def on_start(self, run: Run) -> None:
        """Begin a file."""
        with having_room(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        self._events = TensorBoardEvents(self._folder, run)

    def on_episode(self, run: Run, episode: Episode) -> None:
        """Write two events."""
        assert self._events
        self._events.episodes([episode])

    def on_rewind(self, run: Run) -> None:
        """Void the events after the checkpoint."""
        assert self._events
        self._events.rewind(run, {})

    def on_end(self, run: Run) -> None:
        """Close the file."""
        if self._events:
            self._events.close()


class WandbLogger(Callback):
    """Spec, returns, lengths and the summary to Weights & Biases; needs ``pip install 'teamnet[wandb]'``.

    Args:
        **options: of ``wandb.init``, such as ``project="teams"``, ``mode="offline"``.
    """

    def __init__(self, **options: Any) -> None:
        self._options, self._run = options, None

    def on_start(self, run: Run) -> None:
        """Begin a run there, with the spec as its configuration."""
        wandb = _imported("wandb", "wandb")
        self._run: Any = wandb.init(**{"config": to_plain(run.spec), "name": run.identity, **self._options})

    def on_episode(self, run: Run, episode: Episode) -> None:
        """Log the episode at its environment step."""
        self._run.log({"return": episode.total, "length": episode.length}, step=episode.env_steps)

    def on_end(self, run: Run) -> None:
        """Send the summary, and finish."""
        if self._run:
            with suppress(TeamnetError):  # a run that has failed has none
                self._run.summary.update({
                    name: value for name, value in run.summary().items() if not isinstance(value, Mapping)
                })
            self._run.finish()


class MlflowLogger(Callback):
    """Spec, returns and lengths to MLflow; needs ``pip install 'teamnet[mlflow]'``.

    Args:
        tracking_uri: of the server, or a file as ``sqlite:///PATH``; MLflow's own if left out.
        experiment: its name.
    """

    def __init__(self, tracking_uri: str | None = None, experiment: str = "teamnet") -> None:
        self._uri, self._experiment = tracking_uri, experiment
        self._client: Any = None
        self._id = ""

    def on_start(self, run: Run) -> None:
        """Begin a run there, with the spec as its parameters."""
        mlflow = _imported("mlflow", "mlflow")
        self._client = client = mlflow.MlflowClient(tracking_uri=self._uri)
        found = client.get_experiment_by_name(self._experiment)
        experiment = found.experiment_id if found else client.create_experiment(self._experiment)
        self._id = client.create_run(experiment, run_name=run.identity).info.run_id
        for name, value in _flat(to_plain(run.spec)).items():
            client.log_param(self._id, name, value)

    def on_episode(self, run: Run, episode: Episode) -> None:
        """Log the episode at its environment step."""
        for name, value in (("return", episode.total), ("length", episode.length)):
            self._client.log_metric(self._id, name, value, step=episode.env_steps)

    def on_end(self, run: Run) -> None:
        """Finish."""
        if self._client:
            self._client.set_terminated(self._id)


def _imported(module: str, extra: str) -> Any:
    try:
        return __import__(module)
    except ImportError as error:
        raise SpecError(
            "callback", expected=f"{module} to be installed", found=str(error),
            remedy=f"Run: pip install 'teamnet[{extra}]'",
        ) from None


def _flat(plain: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by names with dots."""
    found: dict[str, Any] = {}
    for name, value in plain.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        elif name != "source":  # the text of a user's file is longer than a parameter may be
            found[f"{prefix}{name}"] = value
    return found
