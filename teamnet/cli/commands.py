"""The commands; each takes its arguments and returns its exit code. Heavy imports wait until a command needs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from teamnet.cli.communication import communication_lines
from teamnet.cli.options import Keeping, ask_for_task, parse_run_options
from teamnet.cli.repeated import joined
from teamnet.cli.seeds_command import train_seeds
from teamnet.cli.terminal import INTERRUPTED, say
from teamnet.errors import SpecError
from teamnet.spec.run import LaunchSpec
from teamnet.training.saving import IfPresent, Saving

Folder = Annotated[Path, tyro.conf.Positional]


def train(arguments: list[str]) -> int:
    """``teamnet train TASK [options]``."""
    if not arguments or arguments[0].startswith("-"):
        return ask_for_task("train", arguments)
    spec, launch, keeping = parse_run_options("train", "Train a team.", Keeping, arguments[0], arguments[1:])
    from teamnet.callbacks.named import named_callbacks
    from teamnet.training.session import train as run_training

    present = _if_present(keeping)
    if keeping.seeds:
        return train_seeds(arguments, spec, launch, keeping)
    saving = Saving(keeping.save_every, keeping.keep, keeping.recoveries, keeping.replay_check)
    summary, interrupted = run_training(
        spec, launch, keeping.out, saving=saving, if_present=present, say=say,
        callbacks=named_callbacks(keeping.callback),
    )
    return _finish(summary, interrupted, keeping.out, as_json=keeping.json)


def _if_present(keeping: Keeping) -> IfPresent:
    """What is to be done where the folder holds a run.

    Raises:
        SpecError: two different things are asked for, or a folder is needed and not named.
    """
    asked = [name for name in ("overwrite", "resume_if_present") if getattr(keeping, name)]
    if len(asked) > 1 or (asked and keeping.out is None):
        raise SpecError(
            asked[0], expected="one of --overwrite and --resume-if-present, with --out",
            found="both" if len(asked) > 1 else "no --out", remedy="Give one of them and the run's folder.",
        )
    if keeping.overwrite:
        return IfPresent.OVERWRITE
    return IfPresent.RESUME if keeping.resume_if_present else IfPresent.REFUSE


def _finish(summary: dict[str, Any], interrupted: bool, out: Path | None, *, as_json: bool) -> int:
    if interrupted:
        say("interrupted" + (f"; continue with: teamnet resume {out}" if out else ""))
    if as_json:
        print(json.dumps(summary))
    else:
        for name, value in summary.items():
            if name not in ("communication", "recoveries", "metrics"):
                print(f"{name:22} {value}")
        for recovery in summary["recoveries"]:
            repeated = recovery["replayed_env_steps"]
            how = f"{recovery['how']} after {recovery['seconds']:.1f} s, {repeated} steps repeated"
            print(f"{'recovered':22} at step {recovery['env_steps']}: {how}")
        print("\n".join(communication_lines(summary["communication"])))
        if out:
            print(f"{'written to':22} {out}")
    return INTERRUPTED if interrupted else 0


def resume(arguments: list[str]) -> int:
    """``teamnet resume DIR [options]``."""

    def options(
        folder: Folder, env_steps: int | None = None, episodes: int | None = None, backend: str | None = None,
        transport: str | None = None, grain: str | None = None, address: str | None = None,
        placement: str | None = None, max_nodes: int | None = None, pin: str | None = None, wait: float | None = None,
        link_latency: float | None = None, link_bandwidth: float | None = None, env_patience: float | None = None,
        env_workers: int | None = None,
        save_every: int = 50_000, keep: int = 2, recoveries: int = 10, replay_check: bool = True,
        callback: tuple[str, ...] = (), json: bool = False,
    ) -> tuple[dict[str, Any], bool, Path, bool]:
        """Continue a run from its newest checkpoint, bit for bit.

        Args:
            folder: what train wrote to.
            env_steps: a new end.
            episodes: a new end.
            backend: another backend.
            transport: another transport.
            grain: another grain.
            address: another cluster.
            placement: other nodes of it.
            max_nodes: how many of them; 0 for all.
            pin: other processors of each node: auto, none, or a map.
            wait: seconds to wait until the cluster can hold the run.
            link_latency: another latency of an emulated link, in seconds.
            link_bandwidth: another bandwidth of an emulated link, in bytes per second.
            env_patience: seconds that an environment has for an answer; 0 for as long as it takes.
            env_workers: processes that step the environments; 0 for none.
            save_every: environment steps between checkpoints.
            keep: checkpoints that are kept.
            recoveries: how often in a row the run resumes from its newest checkpoint by itself; 0 for never.
            replay_check: try, on a copy of the environments in another process, that checkpoints can be resumed.
            callback: of teamnet.callbacks, Evaluation(every=10000), or your own, module:Class(NAME=VALUE).
            json: print the summary as one JSON object.
        """
        from teamnet.callbacks.named import named_callbacks
        from teamnet.training.session import resume as resume_training

        places = {
            "backend": backend, "transport": transport, "grain": grain, "address": address, "placement": placement,
            "max_nodes": max_nodes, "pin": pin, "wait": wait, "link_latency": link_latency,
            "link_bandwidth": link_bandwidth, "env_patience": env_patience,
            "env_workers": env_workers,
        }
        changes = {name: value for name, value in places.items() if value is not None}
        summary, interrupted = resume_training(
            folder, env_steps=env_steps, episodes=episodes, saving=Saving(save_every, keep, recoveries, replay_check),
            launch_changes=changes, say=say, callbacks=named_callbacks(callback),
        )
        return summary, interrupted, folder, json

    summary, interrupted, folder, as_json = tyro.cli(options, prog="teamnet resume", args=joined(arguments))
    return _finish(summary, interrupted, folder, as_json=as_json)


def evaluate(arguments: list[str]) -> int:
    """``teamnet eval DIR [options]``."""

    def options(
        folder: Folder, episodes: int = 10, greedy: bool = False, render: bool = False, seed: int = 0,
        max_steps: int = 100_000, json: bool = False,
    ) -> int:
        """Let a checkpoint act.

        Args:
            folder: what train wrote to, for its newest checkpoint; or a checkpoint in it (checkpoint-*.json).
            episodes: how many (for a single-step task, batches).
            greedy: take means and the likeliest action instead of samples.
            render: record videos to videos/ in the folder.
            seed: of the environment and the samples.
            max_steps: environment steps after which an episode is cut, as some environments have no end.
            json: print the result as one JSON object.
        """
        from json import dumps

        from teamnet.study.evaluate import EvaluationSettings
        from teamnet.study.evaluate import evaluate as run_evaluation

        result = run_evaluation(folder, EvaluationSettings(episodes, greedy, render, seed, max_steps), say)
        if result.cut:
            say(f"{result.cut} of {episodes} episodes were cut after {max_steps:,} steps (--max-steps)")
        if json:
            print(dumps({
                "mean_return": result.mean, "std_return": result.std, "returns": result.returns,
                "lengths": result.lengths, "cut": result.cut,
            }))
        else:
            spread = "" if result.std is None else f", standard deviation {result.std:.2f}"
            print(f"mean return {result.mean:.2f}{spread}, {episodes} episode{'s' * (episodes > 1)}")
            if result.videos:
                print(f"videos in {result.videos}")
        return 0

    return tyro.cli(options, prog="teamnet eval", args=arguments)


def verify(arguments: list[str]) -> int:
    """``teamnet verify FILE.npz [options]``."""

    def options(
        file: Folder, backend: Literal["local", "ray"] = "local", transport: Literal["board", "ray"] = "board",
        grain: str = "layer", address: str = "",
    ) -> int:
        """Replay a golden file of the official code; exits 1 if any error is above 1e-9.

        Args:
            file: a golden file.
            backend: where the units run.
            transport: how they exchange activations.
            grain: what one unit is: layer, block:K or neuron.
            address: of a Ray cluster.
        """
        from teamnet.study.golden.replay import TOLERANCE, replay

        errors = replay(file, LaunchSpec(backend, transport, grain, address))
        print(f"{'quantity':14} largest absolute error")
        for name, error in errors.items():
            print(f"{name:14} {error:.2e}{'' if error <= TOLERANCE else '  ABOVE 1e-9'}")
        return int(max(errors.values()) > TOLERANCE)

    return tyro.cli(options, prog="teamnet verify", args=arguments)


def bench(arguments: list[str]) -> int:
    """``teamnet bench [options]``."""
    from teamnet.study.bench.command import bench as run_bench

    return tyro.cli(run_bench, prog="teamnet bench", args=arguments)
