"""Names of tasks, presets and environments: known ones are found, all others are refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import gymnasium
from hypothesis import given
from hypothesis import strategies as st

from teamnet import TeamAgent
from teamnet.errors import EnvironmentRefused, SpecError
from teamnet.rules.loading import is_reference
from teamnet.spec.presets import ENVIRONMENTS, METHODS, PRESETS, preset
from teamnet.training.make_task import make_task
from tests.hostile.law import cases, obey
from tests.hostile.names import LETTERS, ODD_LETTERS, near

KNOWN = [*PRESETS, *ENVIRONMENTS.values(), *METHODS]
ANY = LETTERS | ODD_LETTERS
NAMES = near(KNOWN, ANY) | st.text(max_size=12) | st.text(ANY, max_size=12)


def test_a_name_is_that_of_a_preset_or_is_refused():
    outcomes: Counter[str] = Counter()

    @cases(1200)
    @given(NAMES, st.booleans().flatmap(lambda known: st.sampled_from(sorted(METHODS)) if known else NAMES))
    def check(task: str, method: str):
        spec, error = obey(lambda: preset(task, method), ["task", "preset", "rule"])
        known = task in PRESETS or "-v" in task or ":" in task or "/" in task
        assert (error is None) == (known and method in METHODS)
        assert error is None or isinstance(error, SpecError)
        if error and task in PRESETS:
            assert error.where == ("rule" if is_reference(method) else "preset")
        assert spec is None or spec.task in (task, *ENVIRONMENTS)
        outcomes["refused" if error else "right"] += 1

    check()
    assert min(outcomes.values()) > 50, outcomes


def test_a_name_is_that_of_an_environment_or_is_refused():
    outcomes: Counter[str] = Counter()

    def make(name: str) -> str:
        task = make_task(replace(preset("cartpole"), task=name, num_envs=1))
        task.begin()
        task.close()
        return name

    @cases(1000)
    @given((near(KNOWN, ANY) | st.text(ANY, max_size=9)).map(lambda name: name if "-v" in name else f"{name}-v1"))
    def check(name: str):
        made, error = obey(lambda: make(name), [name])
        assert error is None or isinstance(error, EnvironmentRefused)
        if made is not None:
            assert gymnasium.spec(made).id in gymnasium.registry
        outcomes["refused" if error else "right"] += 1

    check()
    assert outcomes["refused"] > 300, outcomes
    assert outcomes["right"] > 10, outcomes


def test_what_is_no_name_is_refused():
    kinds = st.none() | st.integers() | st.floats() | st.lists(st.text(max_size=2)) | st.binary(max_size=4)

    @cases(200)
    @given(kinds, kinds)
    def check(task: object, other: object):
        for name, value, action in (
            ("task", task, lambda: TeamAgent(task, backend="local")),  # type: ignore[arg-type]  # that is the point
            ("rule", other, lambda: TeamAgent("cartpole", backend="local", rule=other)),
            ("placement", other, lambda: TeamAgent("cartpole", backend="local", placement=other)),
            ("backend", other, lambda: TeamAgent("cartpole", backend=other)),
        ):
            _, error = obey(action, [name], value)
            assert isinstance(error, SpecError)

    check()
