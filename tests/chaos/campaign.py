"""``python -m tests.chaos.campaign --faults 200 --seed 0``: break runs in every way, and compare what they end with.

Every run trains CartPole with an actor for each layer on a private Ray, or with ``--hosts N`` on a cluster of so many
network namespaces, and ends with the digest, the average return and, byte for byte, the metrics of an undisturbed run
in one process.
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
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from tests.chaos.faults import ONE_MACHINE, SMALL, Fault, Target
from tests.chaos.network import SEVERAL_HOSTS
from tests.chaos.processes import RELAY, UNIT, left_after, running
from tests.chaos.worlds import TEAMNET, OneMachine, SeveralHosts, World
from tests.cluster.hosts import Hosts

SAVE_EVERY, STEPS_FOR_FAULT = 1_000, 1_200
_END_SECONDS = 300.0
"""In which a run has to get on once it is left in peace: beyond it, it hangs."""
_IMPATIENCE = 0.1
"""How likely the next fault comes before the run has written another checkpoint, at each look."""
_NO_ROOM = 2
"""The exit code of a run whose disk or shared memory is full."""
_SAYS_NO_ROOM = "expected room for", "free bytes for the board"
_SAVING = ("--save-every", str(SAVE_EVERY), "--json")

Faults = Mapping[str, tuple[Fault, int]]


class Outcome(NamedTuple):
    """What a run came to: its digest, average return, metrics, and how it recovered."""

    digest: str
    mean_return: float
    metrics: bytes
    recoveries: list[dict[str, Any]]


def reference(folder: Path, seed: int, steps: int, world: World) -> Outcome:
    """The run that nothing disturbs."""
    command = [str(TEAMNET), *_train(folder, seed, steps, world), "--backend", "local"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return _outcome(folder, done.stdout)


def _train(folder: Path, seed: int, steps: int, world: World) -> list[str]:
    return [
        "train", "cartpole", "--preset", world.preset, "--env-steps", str(steps), "--episodes", "None", "--seed",
        str(seed), "--out", str(folder), *_SAVING,
    ]


def _outcome(folder: Path, output: str) -> Outcome:
    summary = json.loads(output.splitlines()[-1])
    metrics = (folder / "metrics.jsonl").read_bytes()
    return Outcome(summary["digest"], summary["mean_return"], metrics, summary["recoveries"])


def disturbed(
    folder: Path, seed: int, choice: random.Random, most: int, steps: int, world: World, faults: Faults
) -> tuple[Outcome, Counter[str]]:
    """A run with up to ``most`` faults; returns what it came to, and the faults that hit.

    Args:
        folder: the run's.
        seed: the run's.
        choice: of kinds, victims and moments.
        most: faults.
        steps: environment steps.
        world: where it is.
        faults: that are drawn, and how often.
    """
    weights = [weight for _, weight in faults.values()]
    injected: Counter[str] = Counter()
    arguments = _train(folder, seed, steps, world)
    log = folder.parent / f"{folder.name}.log"
    with world.disk(folder):
        for _ in range(100):
            with log.open("a") as errors:
                driver = world.start(
                    [*arguments, *world.options], stdout=subprocess.PIPE, stderr=errors, start_new_session=True
                )
            target = Target(driver.pid, folder, world)
            below: dict[int, str] = {}
            seen: Path | None = None
            try:
                while injected.total() < most and driver.poll() is None:
                    time.sleep(choice.uniform(0.3, 2.5))
                    below |= world.processes(driver.pid)
                    newest = max(folder.glob("checkpoint-*.json"), default=None)
                    got_on = newest not in (None, seen)
                    if not target.actors() or newest is None or not (got_on or choice.random() < _IMPATIENCE):
                        continue
                    seen = newest
                    name = choice.choices(list(faults), weights)[0]
                    injected[name] += faults[name][0](target, choice)
                below |= world.processes(driver.pid)
                output = driver.communicate(timeout=_END_SECONDS)[0]
            except subprocess.TimeoutExpired:
                os.killpg(driver.pid, signal.SIGKILL)
                raise AssertionError(f"hangs after {dict(injected)}; {_end_of(log, 'none')}") from None
            except BaseException:
                os.killpg(driver.pid, signal.SIGKILL)
                raise
            finally:
                left = _left(below, world)
            assert not left, f"left behind: {left}; {_end_of(log, driver.returncode)}"
            if driver.returncode == 0:
                return _outcome(folder, output), injected
            assert driver.returncode == -signal.SIGKILL or _has_said_no_room(log, driver.returncode), _end_of(
                log, driver.returncode
            )
            arguments = ["resume", str(folder), *_SAVING]
    raise AssertionError("a hundred drivers were not enough")


def _has_said_no_room(log: Path, code: int) -> bool:
    return code == _NO_ROOM and any(said in log.read_text()[-2000:] for said in _SAYS_NO_ROOM)


def _end_of(log: Path, code: int | str) -> str:
    said = log.read_text().splitlines()
    return "\n".join([f"exit code {code}", *(line for line in said if "raylet" not in line)][-60:])


def _left(below: dict[int, str], world: World) -> list[str]:
    """Actors of a run that are still there ten seconds after its end."""
    left = left_after({number: line for number, line in below.items() if line.startswith((UNIT, RELAY))}, 10.0)
    world.end(running(below))
    return [line[:80] for line in left.values()]


def main() -> None:
    """Run the campaign and print its table; exits 1 if anything was lost, doubled or hung."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at-once", type=int, default=25, help="faults for each run at most")
    parser.add_argument("--hosts", type=int, default=0, help="network namespaces, which need root; 0 for this machine")
    options = parser.parse_args()
    with ExitStack() as until_end:
        base = Path(until_end.enter_context(tempfile.TemporaryDirectory(prefix="teamnet-chaos-", dir="/tmp")))
        if options.hosts:
            world, faults = SeveralHosts(until_end.enter_context(Hosts(options.hosts))), SEVERAL_HOSTS
        else:
            world = OneMachine()
            faults = ONE_MACHINE | SMALL if world.small else ONE_MACHINE
            if not world.small:
                print("not root: neither disk nor shared memory is filled")
        sys.exit(_campaign(base, world, faults, options))


def _campaign(base: Path, world: World, faults: Faults, options: argparse.Namespace) -> bool:
    """Returns whether any run had another end."""
    choice, injected, wrong, recoveries = random.Random(options.seed), Counter(), [], []
    runs = 0
    while injected.total() < options.faults:
        folder, seed = base / f"run-{runs}", options.seed + runs
        most = min(options.at_once, options.faults - injected.total())
        steps = STEPS_FOR_FAULT * max(most, 5)
        expected = reference(base / f"reference-{runs}", seed, steps, world)
        outcome, hit = disturbed(folder, seed, choice, most, steps, world, faults)
        runs += 1
        injected += hit
        same = outcome[:3] == expected[:3]
        if not same:
            wrong.append(f"run {runs}: {outcome[:2]} instead of {expected[:2]}")
        recoveries += outcome.recoveries
        print(f"run {runs}: {dict(hit)}, {'the same' if same else 'DIFFERENT'} end", flush=True)
        took = ", ".join(f"{its['how']} {its['seconds']:.1f} s" for its in outcome.recoveries)
        print(f"  recovered: {took}", flush=True)
    print(f"\n{injected.total()} faults in {runs} runs, {len(wrong)} runs with another end")
    print("| fault | injected |\n| --- | ---: |")
    for name in faults:
        print(f"| {name} | {injected[name]} |")
    for how in ("unit", "team"):
        its = [recovery for recovery in recoveries if how in recovery["how"]]
        if its:
            times, steps = ([recovery[name] for recovery in its] for name in ("seconds", "replayed_env_steps"))
            print(
                f"new {how}s: {len(its)} recoveries, median {statistics.median(times):.1f} s, "
                f"longest {max(times):.1f} s, at most {max(steps)} environment steps done again"
            )
    print("\n".join(wrong))
    return bool(wrong)


if __name__ == "__main__":
    main()
