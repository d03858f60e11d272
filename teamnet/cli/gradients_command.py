"""``teamnet gradients``: the quality of each rule's update. Heavy imports wait until the options are known."""

from __future__ import annotations

import json as json_format
from pathlib import Path

import tyro

from teamnet.cli.terminal import say


def gradients(arguments: list[str]) -> int:
    """``teamnet gradients [options]``."""

    def options(
        methods: tuple[str, ...] = (), hidden: tuple[str, ...] = ("8-6",),
        units: tuple[str, ...] = ("gaussian", "bernoulli"), address_bits: int = 2,
        samples: int = 200_000, seed: int = 0, run: str = "", out: Path = Path("runs/gradients"),
        overwrite: bool = False, json: bool = False,
    ) -> int:
        """Compare each rule's update with the gradient of the expected reward, layer by layer, on the multiplexer.

        The mean update of each layer has a direction, a length and a variance. The gradient is exact, by enumeration,
        for teams of at most 14 Bernoulli units and 12 inputs; else it is the mean of REINFORCE, or for Gaussian units
        of backpropagation through the sample, over as many other samples as that needs. Started again with the same
        arguments, it measures what is missing.

        Args:
            methods: presets, whose rules are compared on the same teams, and rules of your own (FILE.py); if left out,
                a preset of each rule and schedule of this package. Each is measured on the units that it can train;
                backpropagation goes through the sample.
            hidden: neurons of the hidden layers of each team, such as 8-6 or 8-8-8.
            units: gaussian, bernoulli.
            address_bits: of the multiplexer.
            samples: of each method.
            seed: of the parameters and of the samples.
            run: the folder of a run of the multiplexer, or a checkpoint in it (checkpoint-*.json): its team, and the
                parameters of that or the newest checkpoint.
            out: gets gradients.jsonl, gradients.md and gradients.png.
            overwrite: replace the results of an earlier call in OUT.
            json: print the results as one JSON list on the last line of the standard output.
        """
        from teamnet.spec.distinct import distinct_presets
        from teamnet.study.gradients.session import Question, run_gradients
        from teamnet.study.gradients.table import gradients_table
        from teamnet.study.gradients.team import TASK

        question = Question(methods or distinct_presets(TASK), hidden, units, address_bits, samples, seed, run)
        rows = run_gradients(question, out=out, overwrite=overwrite, say=say)
        print(json_format.dumps(rows) if json else f"{gradients_table(rows)}\n\nwritten to {out}")
        return 0

    return tyro.cli(options, prog="teamnet gradients", args=arguments)
