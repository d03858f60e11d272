"""Specs from damaged JSON or made in Python: refused, or resolved to layers that fit; the small ones train right."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamnet.dataflow.slots import Messages
from teamnet.errors import SpecError
from teamnet.rules.registry import built_in_rules
from teamnet.spec.change import changed
from teamnet.spec.check import check_run
from teamnet.spec.check_launch import check_launch, check_where
from teamnet.spec.files import from_plain, to_plain
from teamnet.spec.presets import METHODS, PRESETS, preset
from teamnet.spec.resolve import Interface, build_teams, fit_depth
from teamnet.spec.run import LaunchSpec, RunSpec, TeamSpec
from teamnet.team.partition import block_size
from teamnet.team.placement import check_placement
from tests.hostile.law import assert_right, cases, obey, shows
from tests.hostile.plain import ANYTHING, damaged, deep

WHOLE = {(task, method): to_plain(preset(task, method)) for task in PRESETS for method in METHODS}
UNWRITABLE = {"a number of five thousand digits": 10**5000, "a list in a list, and so on": deep(100_000)}
SMALL = {"hidden": (4, 3), "episodes": 3, "env_steps": 25, "settle_steps": 3, "acting_steps": 2, "address_bits": 2}
POSITIVE = st.floats(0.0, 1.0) | st.floats(0.0, 1e308) | st.integers(0, 8) | st.sampled_from([5e-324, 1e-200, 1e200])
BOTH_ENDS = replace(preset("cartpole"), env_steps=9, episodes=9)
FACES = {"mountaincar": Interface(2, 1, "gaussian"), "regression": Interface(8, 1, "gaussian")}


def _resolve(plain: dict[str, Any]) -> RunSpec:
    spec = from_plain(RunSpec, plain)
    check_run(spec)
    face = FACES.get(spec.task, Interface(4, 2, "categorical"))
    spec = fit_depth(spec, face)
    for team in build_teams(spec, face):
        assert [layer.size for layer in team][:-1] == list(spec.hidden)
    return spec


def _names(kind: type[Any], plain: dict[str, Any]) -> set[str]:
    """What an error about a damaged spec may be about."""
    settings = {name for rule in built_in_rules().values() for name in rule().settings()}
    return {"spec"} | {field.name for field in (*fields(kind), *fields(Messages))} | settings | set(plain)


def test_a_damaged_spec_is_refused_or_resolved():
    outcomes: Counter[str] = Counter()

    @cases(1200)
    @given(st.sampled_from(sorted(WHOLE)).flatmap(lambda name: damaged(WHOLE[name])))
    def check(plain: dict[str, Any]):
        spec, error = obey(lambda: _resolve(plain), _names(RunSpec, plain))
        assert error is None or isinstance(error, SpecError)
        if spec is not None:
            assert from_plain(RunSpec, to_plain(spec)) == spec
        outcomes["refused" if error else "right"] += 1

    check()
    assert min(outcomes.values()) > 100, outcomes
    assert len(outcomes) == 2


def _launch(plain: dict[str, Any]) -> LaunchSpec:
    launch = from_plain(LaunchSpec, plain)
    check_launch(launch)
    check_where(preset("cartpole"), launch)
    block_size(launch.grain)
    check_placement(launch.placement)
    return launch


def test_a_damaged_launch_is_refused_or_makes_sense():
    outcomes: Counter[str] = Counter()

    @cases(1500)
    @given(damaged(to_plain(LaunchSpec("local"))))
    def check(plain: dict[str, Any]):
        launch, error = obey(lambda: _launch(plain), _names(LaunchSpec, plain))
        assert error is None or isinstance(error, SpecError)
        assert launch is None or launch.backend in ("ray", "local")
        outcomes["refused" if error else "right"] += 1

    check()
    assert min(outcomes.values()) > 60, outcomes
    assert len(outcomes) == 2


def test_a_spec_made_in_python_is_refused_by_the_name_of_its_field_or_makes_sense():
    outcomes: Counter[str] = Counter()
    names = [field.name for field in fields(RunSpec)]

    @cases(1500)
    @given(st.sampled_from(names), ANYTHING)
    def check(name: str, value: Any):
        spec = replace(BOTH_ENDS, **{name: value})
        _, error = obey(lambda: check_run(spec), [name])
        assert error is None or isinstance(error, SpecError)
        if error is not None and error.where.startswith(name):
            assert shows(error.found, value), error
        outcomes["refused" if error else "right"] += 1

    check()
    assert min(outcomes.values()) > 30, outcomes
    assert len(outcomes) == 2


def _hints(kind: type[Any]) -> list[tuple[str, bool]]:
    """The fields of a class, and whether they may be ``None``."""
    hints = get_type_hints(kind)
    return [(field.name, type(None) in get_args(hints[field.name])) for field in fields(kind)]


@pytest.mark.parametrize(("name", "optional"), _hints(RunSpec))
def test_none_is_a_value_of_those_fields_of_a_run_that_are_optional(name: str, optional: bool):
    for check in (
        lambda: check_run(replace(BOTH_ENDS, **{name: None})),
        lambda: check_run(from_plain(RunSpec, {**to_plain(BOTH_ENDS), name: None})),
    ):
        _, error = obey(check, [name], None)
        assert (error is None) is optional


@pytest.mark.parametrize(("name", "optional"), _hints(LaunchSpec))
def test_none_is_a_value_of_those_fields_of_a_launch_that_are_optional(name: str, optional: bool):
    launch = LaunchSpec("local")
    for check in (
        lambda: check_launch(replace(launch, **{name: None})),
        lambda: check_launch(from_plain(LaunchSpec, {**to_plain(launch), name: None})),
    ):
        _, error = obey(check, [name], None)
        assert (error is None) is optional


@pytest.mark.parametrize("team", ["actor", "critic"])
@pytest.mark.parametrize(("name", "optional"), _hints(TeamSpec))
def test_none_is_a_value_of_those_fields_of_a_team_that_are_optional(team: str, name: str, optional: bool):
    spec = preset("cartpole")
    for check in (
        lambda: check_run(replace(spec, **{team: replace(getattr(spec, team), **{name: None})})),
        lambda: check_run(from_plain(RunSpec, {**to_plain(spec), team: {**to_plain(spec)[team], name: None}})),
    ):
        _, error = obey(check, [f"{team}.{name}"], None)
        assert (error is None) is optional


def test_a_run_without_any_end_is_refused():
    _, error = obey(lambda: check_run(replace(BOTH_ENDS, env_steps=None, episodes=None)), ["env_steps"])
    assert isinstance(error, SpecError)


@cases(1500)
@given(ANYTHING, st.sampled_from([RunSpec, LaunchSpec]))
def test_what_is_no_spec_at_all_is_refused(plain: Any, kind: type[Any]):
    _, error = obey(lambda: from_plain(kind, plain), ["spec"])
    assert isinstance(error, SpecError) or (kind is LaunchSpec and plain == {})


@pytest.mark.parametrize("name", UNWRITABLE)
@pytest.mark.parametrize("field", [*(field.name for field in fields(RunSpec)), "no such field"])
def test_what_python_cannot_write_is_refused_in_every_field(field: str, name: str):
    for value in (UNWRITABLE[name], [UNWRITABLE[name]], {"rates": UNWRITABLE[name]}):
        _, error = obey(lambda value=value: _resolve({**WHOLE["cartpole", "map"], field: value}), [field])
        assert isinstance(error, SpecError)


def _is_small(spec: RunSpec) -> bool:
    steps, episodes = spec.env_steps or 10**9, spec.episodes or 10**9
    lasting = steps <= 40 * spec.num_envs or (episodes <= 3 and spec.task == "cartpole")
    settling = [rule.settings().get(name, 0) for rule in spec.rules for name in ("settle_steps", "acting_steps")]
    return (
        lasting and spec.num_envs <= 4 and max(spec.hidden, default=0) <= 8 and len(spec.hidden) <= 4
        and max([0, *settling]) <= 100 and spec.address_bits <= 4
    )


@pytest.mark.parametrize("task", ["cartpole", "mountaincar", "multiplexer", "regression"])
def test_a_small_damaged_spec_that_is_accepted_trains_right(task: str):
    outcomes: Counter[str] = Counter()
    changes = {**SMALL, "num_envs": 2, **({"episodes": None} if task in ("multiplexer", "regression") else {})}
    small = {method: to_plain(changed(preset(task, method), **changes)) for method in METHODS}
    values = st.integers(0, 2).flatmap(lambda kind: ANYTHING if kind == 0 else POSITIVE)

    @cases(200)
    @given(st.sampled_from(sorted(small)).flatmap(lambda method: damaged(small[method], values, 2)))
    def check(plain: dict[str, Any]):
        spec, error = obey(lambda: from_plain(RunSpec, plain))
        if spec is not None:
            _, error = obey(lambda: check_run(spec))
            if error is None and not _is_small(spec):
                outcomes["too large to be tried"] += 1
                return
            if error is None:
                _, error = obey(lambda: assert_right(spec))
        outcomes[type(error).__name__ if error else "right"] += 1

    check()
    assert outcomes["right"] > 10, outcomes
    assert outcomes["SpecError"] > 20, outcomes
