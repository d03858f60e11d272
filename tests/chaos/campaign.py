"""``python -m tests.chaos.campaign --faults 200 --seed 0``: break runs in every way, and compare what they end with.

Every run trains CartPole with an actor for each layer on a private Ray, and ends with the digest, the average return
and, byte for byte, the metrics of an undisturbed run in one process.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from tests.chaos.faults import FAULTS, Target
from tests.chaos.processes import actors, descendants

SAVE_EVERY, STEPS_FOR_FAULT = 1_000, 1_200
TEAMNET = Path(sys.executable).parent / "teamnet"
_END_SECONDS = 300.0
"""In which a run has to get on once it is left in peace: beyond it, it hangs."""
_IMPATIENCE = 0.1
"""How likely the next fault comes before the run has written another checkpoint, at each look."""


class Outcome(NamedTuple):
    """What a run came to: its digest, average return, metrics, and how it recovered."""

    digest: str
    mean_return: float
    metrics: bytes
    recoveries: list[dict[str, Any]]


def reference(folder: Path, seed: int, steps: int) -> Outcome:
    """The run that nothing disturbs."""
    command = _train(folder, seed, steps, "--backend", "local")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return _outcome(folder, done.stdout)


def _train(folder: Path, seed: int, steps: int, *more: str) -> list[str]:
    return [
        str(TEAMNET), "train", "cartpole", "--env-steps", str(steps), "--episodes", "None", "--seed", str(seed),
        "--save-every", str(SAVE_EVERY), "--out", str(folder), "--json", *more,
    ]


def _outcome(folder: Path, output: str) -> Outcome:
    summary = json.loads(output.splitlines()[-1])
    metrics = (folder / "metrics.jsonl").read_bytes()
    return Outcome(summary["digest"], summary["mean_return"], metrics, summary["recoveries"])


def disturbed(
    folder: Path, seed: int, choice: random.Random, most: int, steps: int, kinds: dict[str, int] | None = None
) -> tuple[Outcome, Counter[str]]:
    """A run with up to ``most`` faults; returns what it came to, and the faults that hit.

    Args:
        folder: the run's.
        seed: the run's.
        choice: of kinds, victims and moments.
        most: faults.
        steps: environment steps.
        kinds: how often each kind of fault is among those that are drawn.
    """
    weights = kinds or {name: weight for name, (_, weight) in FAULTS.items()}
    injected: Counter[str] = Counter()
    command = _train(folder, seed, steps)
    for _ in range(100):
        with (folder.parent / f"{folder.name}.log").open("a") as log:
            driver = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)
        below: dict[int, str] = {}
        seen: Path | None = None
        try:
            while injected.total() < most and driver.poll() is None:
                time.sleep(choice.uniform(0.3, 2.5))
                below |= descendants(driver.pid)
                newest = max(folder.glob("checkpoint-*.json"), default=None)
                got_on = newest not in (None, seen)
                if not actors(driver.pid) or newest is None or not (got_on or choice.random() < _IMPATIENCE):
                    continue
                seen = newest
                name = choice.choices(list(weights), list(weights.values()))[0]
                injected[name] += FAULTS[name][0](Target(driver.pid, folder), choice)
            below |= descendants(driver.pid)
            output = driver.communicate(timeout=_END_SECONDS)[0]
        except BaseException:
            os.killpg(driver.pid, signal.SIGKILL)
            raise
        finally:
            left = _left(below)
        assert not left, f"left behind: {left}; {_end_of(folder, driver.returncode)}"
        if driver.returncode == 0:
            return _outcome(folder, output), injected
        assert driver.returncode == -signal.SIGKILL, _end_of(folder, driver.returncode)
        command = [
            str(TEAMNET), "resume", str(folder), "--save-every", str(SAVE_EVERY), "--json",
        ]
    raise AssertionError("a hundred drivers were not enough")


def _end_of(folder: Path, code: int) -> str:
    said = (folder.parent / f"{folder.name}.log").read_text().splitlines()
    return "\n".join([f"exit code {code}", *(line for line in said if "raylet" not in line)][-60:])


def _left(below: dict[int, str]) -> list[str]:
    """Actors of a run that are still there ten seconds after its end; Ray's own processes are ended here."""
    deadline, there = time.monotonic() + 10, dict(below)
    while _actors_of(there) and time.monotonic() < deadline:
        time.sleep(0.2)
        there = {number: line for number, line in there.items() if _runs(number, line)}
    left = _actors_of(there)
    for number, line in there.items():
        if _runs(number, line):
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
    return left


def _actors_of(there: dict[int, str]) -> list[str]:
    return [line[:80] for line in there.values() if line.startswith("ray::BoardWorker")]


def _runs(number: int, line: str) -> bool:
    try:
        now = (Path("/proc") / str(number) / "cmdline").read_text().replace("\0", " ")
        state = (Path("/proc") / str(number) / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return now[:12] == line[:12] and state != "Z"


def main() -> None:
    """Run the campaign and print its table; exits 1 if anything was lost, doubled or hung."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at-once", type=int, default=25, help="faults for each run at most")
    options = parser.parse_args()
    choice, injected, wrong, seconds = random.Random(options.seed), Counter(), [], []
    with tempfile.TemporaryDirectory(prefix="teamnet-chaos-", dir="/tmp") as base:
        runs = 0
        while injected.total() < options.faults:
            folder, seed = Path(base) / f"run-{runs}", options.seed + runs
            most = min(options.at_once, options.faults - injected.total())
            steps = STEPS_FOR_FAULT * max(most, 5)
            expected = reference(Path(base) / f"reference-{runs}", seed, steps)
            outcome, hit = disturbed(folder, seed, choice, most, steps)
            runs += 1
            injected += hit
            same = outcome[:3] == expected[:3]
            if not same:
                wrong.append(f"run {runs}: {outcome[:2]} instead of {expected[:2]}")
            seconds += [(its["how"], its["seconds"], its["replayed_env_steps"]) for its in outcome.recoveries]
            print(f"run {runs}: {dict(hit)}, {'the same' if same else 'DIFFERENT'} end", flush=True)
            took = ", ".join(f"{its['how']} {its['seconds']:.1f} s" for its in outcome.recoveries)
            print(f"  recovered: {took}", flush=True)
    print(f"\n{injected.total()} faults in {runs} runs, {len(wrong)} runs with another end")
    print("| fault | injected |\n| --- | ---: |")
    for name in FAULTS:
        print(f"| {name} | {injected[name]} |")
    for how in ("unit", "team"):
        its = [(time, steps) for kind, time, steps in seconds if how in kind]
        if its:
            times, steps = zip(*its, strict=True)
            print(
                f"new {how}s: {len(its)} recoveries, median {statistics.median(times):.1f} s, "
                f"longest {max(times):.1f} s, at most {max(steps)} environment steps done again"
            )
    print("\n".join(wrong))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
