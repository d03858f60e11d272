from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from teamnet.spec.layers import LayerSpec, Rate
from tests.segments import held_segments

settings.register_profile("teamnet", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("teamnet")

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.npz"))


def make_layers(
    sizes: tuple[int, ...], *, team: str = "actor", family: str = "categorical", function: str = "softplus",
    settle_steps: int = 5, rows: int = 1, single_step: bool = False, rate: float = 1e-2, temperature: float = 2.0,
    trace_decay: float = 0.9, schedule: str = "jacobi", acting_steps: int = 3, exploring: float = 1.0,
    entropy: float = 0.0, variance: float = 0.05, exchange_every: int = 1,
    feedback: str = "mirror", forgetting: float = 0.0, wire: str = "float64", error_feedback: bool = False,
    tolerance: float = 0.0, td_error: str = "broadcast",
) -> list[LayerSpec]:
    """A small team; ``sizes`` from the observation to the output."""
    last = len(sizes) - 1
    return [
        LayerSpec(
            team, 0 if team == "actor" else 1, number, sizes[number - 1], sizes[number],
            0 if number == last else sizes[number + 1],
            "categorical" if number == last and family == "categorical" else "gaussian",
            "linear" if number == last else function, variance * number, temperature, 0.5, settle_steps, trace_decay,
            Rate(rate, rate / 10, 100), Rate(0.0, 0.0) if number == last else Rate(rate, rate / 10, 100),
            team == "critic", single_step, rows, schedule, acting_steps, exploring, entropy,
            exchange_every, feedback, forgetting, wire, error_feedback, tolerance, td_error,
        )
        for number in range(1, last + 1)
    ]


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
