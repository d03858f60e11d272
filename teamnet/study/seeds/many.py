"""Runs of many seeds, each a process of its own with a folder of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from teamnet.errors import ResourceError, SpecError, shown
from teamnet.spec.check import MOST_SEEDS
from teamnet.team.cores import usable_cores
from teamnet.training.endings import handled_signals

_INTERRUPTED = 130
_SHOWN_LINES = 3


def seeds_of(text: str) -> list[int]:
    """The seeds that a text names, in order: ``0..9``, ``3``, ``1,4,7..9``.

    Raises:
        SpecError: it names none, one twice, or too many.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,18})(?:\.\.(\d{1,18}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last < first + MOST_SEEDS:
            raise _refusal(text)
        seeds += range(first, last + 1)
    if len(set(seeds)) != len(seeds) or len(seeds) > MOST_SEEDS:
        raise _refusal(text)
    return seeds


def _refusal(text: str) -> SpecError:
    return SpecError(
        "seeds", expected=f"up to {MOST_SEEDS} different seeds, as 0..9 or 1,4,7", found=shown(text),
        remedy="Write, for instance, --seeds 0..9.",
    )


def seed_folder(folder: Path, seed: int) -> Path:
    """The folder of a seed's run."""
    return folder / f"seed-{seed}"


class ManySeeds:
    """Trains one run after the other, or some at once.

    Args:
        command: the arguments of ``teamnet train`` that all runs share.
        folder: gets a folder for each seed.
        jobs: runs at once; 0 for one on each core.
    """

    def __init__(self, command: Sequence[str], folder: Path, jobs: int) -> None:
        self._command, self._folder = list(command), folder
        self._jobs = jobs or len(usable_cores())
        self._processes: dict[int, subprocess.Popen[str]] = {}
        self._lock, self._stopped = threading.Lock(), False

    def train(self, seeds: Sequence[int], finished: Callable[[int, dict[str, Any]], None]) -> bool:
        """Train all seeds that are not at their end; returns whether all are.

        Args:
            seeds: of the runs.
            finished: called with a seed and the summary of its run.

        Raises:
            ResourceError: a run ended with an error; the others were trained to their ends.
        """
        errors: dict[int, str] = {}
        before = {number: signal.signal(number, self._stop) for number in handled_signals()}
        try:
            with ThreadPoolExecutor(self._jobs) as pool:
                runs = {pool.submit(self._one, seed): seed for seed in seeds}
                for run in as_completed(runs):
                    code, summary, error = run.result()
                    if code == 0 and summary:
                        finished(runs[run], summary)
                    elif code != _INTERRUPTED and not self._stopped:
                        errors[runs[run]] = error
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if errors:
            seed, error = next(iter(errors.items()))
            raise ResourceError(
                f"seed {seed}", expected="a run that trains to its end", found=error,
                remedy=f"Remove the cause, and start the same command again ({len(errors)} of {len(seeds)} failed).",
            )
        return not self._stopped

    def _one(self, seed: int) -> tuple[int, dict[str, Any] | None, str]:
        """The exit code of a run, its summary, and the end of its messages."""
        out = seed_folder(self._folder, seed)
        command = [sys.executable, "-m", "teamnet", *self._command, "--seed", str(seed), "--out", str(out), "--json"]
        threads = {} if self._jobs == 1 else {"OMP_NUM_THREADS": "1"}
        with self._lock:
            if self._stopped:
                return _INTERRUPTED, None, ""
            process = self._processes[seed] = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                env=os.environ | threads, start_new_session=True,
            )
        if self._stopped:  # since the process was begun
            process.send_signal(signal.SIGINT)
        output, messages = process.communicate()
        lines = output.splitlines()
        summary = json.loads(lines[-1]) if process.returncode == 0 and lines else None
        said = " ".join(messages.strip().splitlines()[-_SHOWN_LINES:])
        return process.returncode, summary, said.rpartition("teamnet: ")[2]

    def _stop(self, number: int, frame: Any) -> None:
        """Let every run end after its step and save itself; start no other one."""
        self._stopped = True
        for process in list(self._processes.values()):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
