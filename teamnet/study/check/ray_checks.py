"""The checks of a rule under Ray: a run whose actor is killed, and the costs of its operations."""

from __future__ import annotations

import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil

from teamnet.errors import TeamnetError
from teamnet.rules.rule import Rule
from teamnet.spec.presets import preset_of_rule
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.check.bench import CheckFailed
from teamnet.study.plan.operations import take_times
from teamnet.training.run import Run
from teamnet.training.saving import Saving
from teamnet.training.session import train

_STEPS = 3_000
_SECONDS = 60.0
_ACTOR = "ray::BoardWorker"


def spec_of(rule: Rule) -> RunSpec:
    """CartPole with the rule and the values of its preset."""
    return replace(preset_of_rule(type(rule), "cartpole"), rule=rule, env_steps=_STEPS, episodes=None)


def survives_a_kill(spec: RunSpec) -> str:
    """A run on Ray that loses an actor continues and ends with the digest of a run in this process."""
    expected = train(spec, LaunchSpec(backend="local"), None)[0]["digest"]
    with tempfile.TemporaryDirectory() as folder:
        killer = threading.Thread(target=_kill_an_actor, args=(Path(folder) / "run",), daemon=True)
        killer.start()
        summary, _ = train(spec, LaunchSpec(), Path(folder) / "run", saving=Saving(every=_STEPS // 10))
        killer.join()
    if summary["digest"] != expected:
        raise CheckFailed(f"the digest is {summary['digest'][:12]} and not {expected[:12]}")
    return f"{len(summary['recoveries'])} actor lost and replaced, {_STEPS} steps"


def _kill_an_actor(folder: Path) -> None:
    """Kill one of this process's units, once the run has a checkpoint."""
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        if list(folder.glob("checkpoint-*.json")) and (actors := list(_actors())):
            actors[len(actors) // 2].kill()
            return
        time.sleep(0.01)


def _actors() -> Iterator[psutil.Process]:
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if process.cmdline()[:1] and process.cmdline()[0].startswith(_ACTOR):
                yield process


def costs(spec: RunSpec) -> str:
    """Median microseconds of each operation of all units in one step of the preset's sizes, in this process."""
    run = Run(replace(spec, env_steps=10**9), LaunchSpec(backend="local"))
    try:
        taken: dict[str, float] = defaultdict(float)
        for timing in take_times(run)[0]:
            taken[timing.operation] += timing.seconds
    except TeamnetError as error:
        raise CheckFailed(f"a run on CartPole with the published rates: {error}") from None
    finally:
        run.close()
    return ", ".join(f"{name} {1e6 * seconds:.1f} us" for name, seconds in taken.items())
