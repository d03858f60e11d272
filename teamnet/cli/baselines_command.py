"""``teamnet baselines``: teams compared with Stable-Baselines3, timed in the same run."""

from __future__ import annotations

import json as json_format
from dataclasses import asdict
from pathlib import Path

import tyro

from teamnet.cli.terminal import say
from teamnet.spec.run import USUAL_RULE


def baselines(arguments: list[str]) -> int:
    """``teamnet baselines [options]``."""

    def options(
        tasks: tuple[str, ...] = ("cartpole",), algorithms: tuple[str, ...] = (USUAL_RULE, "a2c", "ppo"),
        seeds: int = 1,
        first_seed: int = 0, until: float | None = None, episodes: int | None = None, out: Path | None = None,
        overwrite: bool = False, json: bool = False,
    ) -> int:
        """Train teams and Stable-Baselines3's A2C and PPO on the same tasks, one after the other on one core.

        Args:
            tasks: cartpole, acrobot, lunarlander, mountaincar, Gymnasium ids, or environments of your own as
                module:Class or FILE.py:Class.
            algorithms: a2c, ppo, presets of ours, such as map, tuned, backprop or weight-max, and rules of your own
                (FILE.py).
            seeds: how many runs of each.
            first_seed: seed of the first one; the others follow.
            until: end a run when its 100-episode mean return reaches this; all episodes are run without it.
            episodes: the most that a run has; the preset's, with --until ten times as many, if left out.
            out: gets metrics.jsonl, summary.json and spec.json of every run, when it is finished.
            overwrite: replace the runs that OUT has.
            json: print the results as one JSON list on the last line of the standard output.
        """
        from teamnet.study.comparison import Comparison, compare, result_lines

        def finished(result: Comparison) -> None:
            say(f"{result.task}, {result.algorithm}, seed {result.seed}: {result.seconds:.1f} s")

        results = compare(
            tasks, algorithms, range(first_seed, first_seed + seeds), until=until, episodes=episodes, out=out,
            overwrite=overwrite, finished=finished,
        )
        plain = [asdict(result) for result in results]
        print(json_format.dumps(plain) if json else "\n".join(result_lines(results)))
        return 0

    return tyro.cli(options, prog="teamnet baselines", args=arguments)
