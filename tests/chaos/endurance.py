"""``python -m tests.chaos.endurance --env-steps 5000000``: a long run whose memory, handles and threads must stay flat.

It watches the driver and the actors of a run on a private Ray that writes checkpoints all the time, and ends with 1 if
anything has grown between the first tenth, in which things find their size, and the end.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.chaos.campaign import TEAMNET
from tests.chaos.processes import actors, descendants

_LOOK_EVERY = 2.0
_MEMORY_SLACK = 1.02
_CHECKPOINTS = 100


class Held(NamedTuple):
    """What processes hold together: private memory in MiB, open files, threads, and mapped segments of a board."""

    memory: float
    files: int
    threads: int
    segments: int


def held(numbers: Sequence[int]) -> Held:
    """Of some processes.

    Raises:
        OSError: one of them has ended.
    """
    kib = files = threads = segments = 0
    for number in numbers:
        process = Path("/proc") / str(number)
        lines = (process / "smaps_rollup").read_text().splitlines()
        kib += sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
        files += len(os.listdir(process / "fd"))
        threads += len(os.listdir(process / "task"))
        segments += sum("/dev/shm/" in line for line in (process / "maps").read_text().splitlines())
    return Held(kib / 1024, files, threads, segments)


def watch(folder: Path, env_steps: int, num_envs: int) -> list[Held]:
    """Train, and look at the driver and its actors now and then."""
    command = [
        str(TEAMNET), "train", "cartpole", "--preset", "frugal", "--hidden", "16", "8", "--num-envs", str(num_envs),
        "--env-steps", str(env_steps), "--episodes", "None", "--save-every", str(env_steps // _CHECKPOINTS),
        "--out", str(folder),
    ]
    found = []
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as driver:
        while driver.poll() is None:
            time.sleep(_LOOK_EVERY)
            units = actors(descendants(driver.pid))
            try:
                if units and any(folder.glob("checkpoint-*.json")):
                    found.append(held([driver.pid, *units]))
            except OSError:
                break  # the run is ending
        if driver.wait():
            raise SystemExit(f"the run ended with {driver.returncode}")
    return found


def flat(found: Sequence[Held]) -> bool:
    """Print how what is held has developed, and say whether it has grown since the first tenth."""
    if len(found) < 20:
        raise SystemExit(f"only {len(found)} looks, which say nothing: give more --env-steps")
    settled = found[len(found) // 10 :]
    part = len(settled) // 4
    right = True
    print("|  | then, median | at the end, median |\n| --- | ---: | ---: |")
    for name in Held._fields:
        then, end = (
            statistics.median(getattr(its, name) for its in looks) for looks in (settled[:part], settled[-part:])
        )
        print(f"| {name} | {then:,.1f} | {end:,.1f} |")
        right = right and end <= then * (_MEMORY_SLACK if name == "memory" else 1.0)
    return right


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env-steps", type=int, default=5_000_000)
    parser.add_argument("--num-envs", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return 0 if flat(watch(Path(folder) / "run", options.env_steps, options.num_envs)) else 1


if __name__ == "__main__":
    sys.exit(main())
