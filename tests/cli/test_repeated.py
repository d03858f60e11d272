"""Options of several values that are given more than once."""

from __future__ import annotations

import pytest

from teamnet.cli.options import Keeping, parse_run_options
from teamnet.cli.repeated import joined


def test_all_values_of_a_repeated_option_count():
    arguments = [
        "--callback", "Evaluation()", "--callback=StopAtReturn(value=475)", "--seed", "3", "--wrapper", "a:B",
        "--wrappers", "c:D", "--env_kwargs", "a=1", "--env-kwargs", "b=2", "c=3",
    ]
    spec, _, keeping = parse_run_options("train", "Train.", Keeping, "CartPole-v1", arguments)
    assert keeping.callback == ("Evaluation()", "StopAtReturn(value=475)")
    assert (spec.seed, spec.wrappers, spec.env_kwargs) == (3, ("a:B", "c:D"), ("a=1", "b=2", "c=3"))


@pytest.mark.parametrize("arguments", [
    [], ["--seed", "3"], ["--hidden", "4", "-3"], ["--seed=3", "--no-replay-check"], ["--callback", "A", "B"],
])
def test_other_arguments_stay(arguments: list[str]):
    assert joined(arguments) == arguments
