from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from teamnet.dataflow.layers import LayerSpec, Rate, linked
from teamnet.dataflow.slots import Messages
from teamnet.rules.asynchronous import AsynchronousMapPropagation
from teamnet.rules.backpropagation import Backpropagation
from teamnet.rules.map_propagation import MapPropagation
from teamnet.rules.reinforce import Reinforce
from teamnet.rules.rule import Rule
from teamnet.rules.weight_max import WeightMaximisation
from tests.segments import held_segments

settings.register_profile("teamnet", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("teamnet")

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.npz"))


def make_layers(
    sizes: tuple[int, ...], *, team: str = "actor", family: str = "categorical", function: str = "softplus",
    settle_steps: int = 5, rows: int = 1, single_step: bool = False, rate: float = 1e-2, temperature: float = 2.0,
    trace_decay: float = 0.9, schedule: str = "jacobi", acting_steps: int = 3, exploration: float = 1.0,
    entropy: float = 0.0, variance: float = 0.05, exchange_every: int = 1,
    feedback: str = "mirror", weight_decay: float = 0.0, message_dtype: str = "float64", error_feedback: bool = False,
    send_threshold: float = 0.0, td_error: str = "broadcast", sources: dict[int, tuple[int, ...]] | None = None,
    hidden_types: tuple[str, ...] = (), functions: tuple[str, ...] = (), step_sizes: tuple[float, ...] = (),
    early_reward: bool = False, masked: bool = False,
) -> list[LayerSpec]:
    """A small team; ``sizes`` from the observation to the output.

    ``sources`` are the layers that a layer reads, where these are not the one below; other tuples are of hidden layers.
    """
    last = len(sizes) - 1
    down = {"feedback": feedback, "weight_decay": weight_decay, "td_error": td_error}
    settling = {"settle_steps": settle_steps, "step_size": 0.5}
    rules: dict[str, Callable[[], Rule]] = {
        "chain": lambda: Backpropagation(entropy=entropy, **down),
        "ticks": lambda: AsynchronousMapPropagation(acting_steps=acting_steps, **settling, **down),
        "free": lambda: AsynchronousMapPropagation(acting_steps=acting_steps, free_running=True, **settling, **down),
        "reinforce": Reinforce, "weight-max": lambda: WeightMaximisation(early_reward=early_reward),
    }
    rule = rules.get(
        schedule, lambda: MapPropagation(schedule=schedule, exchange_every=exchange_every, **settling, **down)
    )()
    return linked(sizes[0], [
        LayerSpec(
            team=team, team_number=0 if team == "actor" else 1, number=number, depth=last, size=sizes[number],
            family=family if number == last else hidden_types[number - 1] if hidden_types else "gaussian",
            function="linear" if number == last else functions[number - 1] if functions else function,
            variance=variance * number, temperature=temperature, trace_decay=trace_decay,
            rate=Rate(rate, rate / 10, 100),
            gated=team == "critic", single_step=single_step, rows=rows, exploration=exploration,
            messages=Messages(message_dtype, error_feedback, send_threshold), sources=(sources or {}).get(number, ()),
            rule=replace(rule, step_size=step_sizes[number - 1]) if step_sizes and number < last else rule,
            masked=masked and number == last and family in ("categorical", "reference"),
        )
        for number in range(1, last + 1)
    ])


_LONGEST = (
    "training/test_run.py", "training/test_recovery.py", "kernels/test_bounds.py", "training/test_layer_options.py",
    "team/test_pinning.py", "chaos/test_exceptions.py", "team/test_ray.py", "team/test_hand_started.py",
    "study/test_trace.py", "team/test_ray_session.py", "study/test_many_seeds.py", "hostile/test_setup.py",
    "rules/test_runs_of_user_rules.py", "rules/test_studies_of_user_rules.py", "team/test_golden.py",
    "test_examples.py",
)
"""Files that are tested first, so that no process has one left when the others are done."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folder = Path(__file__).parent
    places = {str(folder / name): place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(str(item.path), len(places)))


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture(scope="session", autouse=True)
def _leave_nothing() -> Iterator[None]:
    yield
    assert not held_segments()


@pytest.fixture(scope="module")
def shared_ray() -> Iterator[None]:
    """One private Ray for the tests of a module; runs use it and leave it."""
    from teamnet.team.ray_session import acquire

    lease = acquire("")
    yield
    lease.release()
