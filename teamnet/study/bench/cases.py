"""The configurations that are timed, and what each is compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from teamnet.spec.change import changed
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.bench.references import LocalReference, NumpyReference, Reference


@dataclass(frozen=True)
class Case:
    """One configuration.

    Args:
        title: in the table.
        spec, launch: of the run.
        env_steps: of one timing.
        reference: starts what it is compared with.
        against: its name.
        busy_core: whether a process that never sleeps runs beside it.
        usual: whether it is timed unless others are named.
    """

    title: str
    spec: RunSpec
    launch: LaunchSpec
    env_steps: int
    reference: Callable[[], Reference]
    against: str = "NumPy"
    busy_core: bool = False
    usual: bool = True


def cases(steps: int) -> dict[str, Case]:
    """All configurations by the name that ``--only`` takes; ``steps`` environment steps for the fast ones."""
    cartpole, ray, here = preset("cartpole"), LaunchSpec(), LaunchSpec(backend="local")
    many = replace(cartpole, num_envs=16)

    def wide(*hidden: int, rows: int) -> RunSpec:
        return replace(preset("multiplexer"), hidden=hidden, num_envs=rows)

    def numpy(title: str, spec: RunSpec, env_steps: int, batches: int, published: RunSpec | None = None) -> Case:
        return Case(title, spec, here, env_steps, lambda: NumpyReference(published or spec, batches))

    def on_ray(title: str, spec: RunSpec, env_steps: int, launch: LaunchSpec = ray, *, busy: bool = False) -> Case:
        return replace(numpy(title, spec, env_steps, 600, cartpole), launch=launch, busy_core=busy)

    def with_local(title: str, spec: RunSpec, env_steps: int, local_steps: int) -> Case:
        return Case(title, spec, ray, env_steps, lambda: LocalReference(spec, local_steps), "local")

    two_actors = replace(preset("regression"), hidden=(64,), num_envs=1)
    return {
        "local": numpy("local, one environment", cartpole, steps, 600),
        "local-16": numpy("local, 16 environments", many, 4 * steps, 100),
        "local-512": numpy("local, (512, 512)", replace(cartpole, hidden=(512, 512)), steps // 20 + 1, 60),
        "multiplexer": numpy("local, multiplexer", preset("multiplexer"), 20 * steps, 20),
        "wide-128": numpy("(1024, 1024), batch 128", wide(1024, 1024, rows=128), 256, 2),
        "wide-8": numpy("(1024, 1024), batch 8", wide(1024, 1024, rows=8), 64, 8),
        "wide-1": numpy("(2048, 2048), batch 1", wide(2048, 2048, rows=1), 4, 4),
        "ray-layer": on_ray("ray, 6 layer actors", cartpole, steps),
        "ray-layer-busy": on_ray("the same, one core busy", cartpole, steps, busy=True),
        "ray-recomputed": on_ray("ray, --feedback recomputed", changed(cartpole, feedback="recomputed"), steps),
        "ray-frugal": on_ray("ray, frugal", preset("cartpole", "frugal"), 2 * steps),
        "ray-block": on_ray("ray, block:8", cartpole, steps // 2 + 1, replace(ray, grain="block:8")),
        "ray-calls": on_ray("ray, actor calls", cartpole, max(20, steps // 250), replace(ray, transport="ray")),
        "ray-neuron": replace(
            on_ray("ray, neuron", cartpole, max(20, steps // 20), replace(ray, grain="neuron")), usual=False
        ),
        "ray-two": with_local("two actors, regression", two_actors, 2 * steps, 8 * steps),
        "ray-512": with_local("(512, 512) x 16", replace(many, hidden=(512, 512)), steps // 5 + 16, steps // 5 + 16),
        "ray-deep": with_local("4 x 256 x 16", replace(many, hidden=(256,) * 4), steps // 5 + 16, steps // 5 + 16),
    }
