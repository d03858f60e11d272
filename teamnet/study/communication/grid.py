"""A grid of configurations: the values of each factor, and the runs that they define."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from teamnet.errors import SpecError
from teamnet.spec.change import changed
from teamnet.spec.check import whole_numbers
from teamnet.spec.presets import preset
from teamnet.spec.run import USUAL_RULE, LaunchSpec, RunSpec
from teamnet.study.rates import ENDLESS


@dataclass(frozen=True)
class Configuration:
    """One configuration of a task; its fields are keys of the records in ``comm.jsonl`` and ``scale.jsonl``.

    Args:
        methods: the preset, which names a rule, its schedule and its hyperparameters.
        grains, transports, placements: of the launch.
        batches: parallel environments, as a multiple of the preset's.
        hidden: neurons of the hidden layers, such as ``64-32``; empty for none.
        settle_steps: ``None`` for the preset's.
    """

    methods: str = USUAL_RULE
    grains: str = "layer"
    transports: str = "board"
    placements: str = "pack"
    batches: int = 1
    hidden: str = "64-32"
    settle_steps: int | None = None

    @property
    def sizes(self) -> tuple[int, ...]:
        """The neurons of each hidden layer.

        Raises:
            SpecError: ``hidden`` is not as described.
        """
        return whole_numbers("hidden", self.hidden.split("-")) if self.hidden else ()

    def specs(self, task: str, launch: LaunchSpec) -> tuple[RunSpec, LaunchSpec]:
        """The run of the configuration, without an end, and its launch."""
        spec = preset(task, self.methods)
        steps = {} if self.settle_steps is None else {"settle_steps": self.settle_steps}
        spec = changed(
            spec, env_steps=ENDLESS, episodes=None, num_envs=self.batches * spec.num_envs, hidden=self.sizes, **steps
        )
        return spec, replace(launch, grain=self.grains, transport=self.transports, placement=self.placements)


@dataclass(frozen=True)
class Grid:
    """The values of each field of :class:`Configuration`; the first values together are the baseline."""

    methods: tuple[str, ...] = (USUAL_RULE,)
    grains: tuple[str, ...] = ("layer",)
    transports: tuple[str, ...] = ("board",)
    placements: tuple[str, ...] = ("pack",)
    batches: tuple[int, ...] = (1,)
    hidden: tuple[str, ...] = ("64-32",)
    settle_steps: tuple[int | None, ...] = (None,)

    def configurations(self, *, cross: bool) -> list[Configuration]:
        """All combinations, or only those in which one factor differs from the first configuration.

        Raises:
            SpecError: a factor has no value.
        """
        factors = vars(self)
        for name, values in factors.items():
            if not values:
                raise SpecError(name, expected="1 value or more", found="none", remedy="Give one, or leave it out.")
        if cross:
            return [Configuration(*values) for values in itertools.product(*factors.values())]
        first = Configuration(*(values[0] for values in factors.values()))
        return [first, *(
            replace(first, **{name: value}) for name, values in factors.items() for value in values[1:]
        )]


def label(configuration: Configuration, others: Sequence[Configuration]) -> str:
    """The values that distinguish a configuration from the others of its grid; its method, if there are none."""
    shown: dict[str, str] = {
        "batches": f"batch x{configuration.batches}", "hidden": configuration.hidden or "no hidden",
        "settle_steps": "usual steps" if configuration.settle_steps is None else f"{configuration.settle_steps} steps",
    }
    varied = [name for name in asdict(configuration) if len({getattr(member, name) for member in others}) > 1]
    return ", ".join(shown.get(name, str(getattr(configuration, name))) for name in varied or ["methods"])
