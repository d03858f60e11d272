"""The methods of the study: what each is called, which tasks it is for, and what a run of it is.

A method is one line of ``METHODS``. A team's run is a :class:`RunSpec`; a peer of another library has a
spec of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec

from teamnet.errors import ResourceError
from teamnet.spec.presets import ENVIRONMENTS, preset
from teamnet.spec.run import RunSpec
from teamnet.study.paper.tasks import TASKS


@dataclass(frozen=True)
class PeerSpec:
    """A run of another library's algorithm with its own hyperparameters.

    Args:
        task: one of the control tasks.
        algorithm: what the library calls it, in small letters.
        seed: of the library's generators and the environment.
        episodes: when the run is over.
        env_steps: unused; a peer is compared over the same episodes.
    """

    task: str
    algorithm: str
    seed: int
    episodes: int | None
    env_steps: int | None = None


@dataclass(frozen=True)
class Method:
    """A rule with its preset.

    Args:
        name: on the command line, in folders and in tables.
        label: in figures.
        tasks: what it is for.
        compared_with: the published method that stands beside it; empty for none.
        usual: whether it is done unless others are asked for.
    """

    name: str
    label: str
    tasks: tuple[str, ...] = tuple(TASKS)
    compared_with: str = ""
    usual: bool = True

    def spec(self, task: str, seed: int) -> RunSpec | PeerSpec:
        """What a run of it on a task is."""
        return replace(preset(task, self.name), seed=seed)

    def check_installed(self) -> None:
        """Refuse a method that this installation cannot run."""


@dataclass(frozen=True)
class PeerMethod(Method):
    """An algorithm of Stable-Baselines3, over as many episodes as the preset has."""

    algorithm: str = ""

    def spec(self, task: str, seed: int) -> PeerSpec:
        """See :class:`Method`."""
        return PeerSpec(task, self.algorithm, seed, preset(task).episodes)

    def check_installed(self) -> None:
        """See :class:`Method`.

        Raises:
            ResourceError: Stable-Baselines3 is not installed.
        """
        if find_spec("stable_baselines3") is None:
            raise ResourceError(
                f"method {self.name}", expected="Stable-Baselines3", found="it is not installed",
                mend="Run: pip install 'teamnet[peers]'",
            )


def _peer(algorithm: str, label: str) -> PeerMethod:
    return PeerMethod(f"sb3-{algorithm}", label, tuple(ENVIRONMENTS), usual=False, algorithm=algorithm)


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("map", "MAP propagation", compared_with="map"),
        Method("tuned", "MAP propagation, tuned", compared_with="map"),
        Method("frugal", "MAP propagation, tuned, frugal", compared_with="map"),
        Method("backprop", "backpropagation", compared_with="backprop"),
        Method("map-async", "asynchronous MAP", tuple(ENVIRONMENTS), compared_with="map-async"),
        Method("reinforce", "REINFORCE, all units", compared_with="reinforce"),
        Method("reinforce-part", "REINFORCE, part exploring", tuple(ENVIRONMENTS), compared_with="reinforce-part"),
        _peer("a2c", "A2C (Stable-Baselines3)"),
        _peer("ppo", "PPO (Stable-Baselines3)"),
    )
}
"""All methods of the study in the order in which they are reported."""
