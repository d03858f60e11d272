"""What a learning rule is: settings, private arrays, operations and steps, in one class."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, dataclass_transform

import numpy as np

from teamnet.dataflow.layers import LayerSpec
from teamnet.dataflow.ports import Draft, SlotSpec
from teamnet.kernels.compile import Kernel, kernel
from teamnet.kernels.memory import copy, flat
from teamnet.kernels.unit_types import HIDDEN_TYPES, POLICY_TYPES, UnitTypeName
from teamnet.kernels.user_file import Source, found_class, source_of

Unit = Any
"""What an operation is given first: the unit's numbers and arrays, by name."""
Array = np.ndarray
"""What a step reads, float64 ``(rows, numbers)``."""
Preset = Callable[[Any], Any]
"""From the :class:`~teamnet.spec.run.RunSpec` of a task, as published for MAP propagation, to one with other values."""


def operation(function: Callable[..., None] | None = None, *, numpy: Callable[..., None] | None = None) -> Any:
    """Declare what a unit does in a step.

    The function is compiled, or with ``--interpret`` called as plain Python on NumPy arrays. Its first parameter is the
    unit; the others are what the step reads, float64 arrays ``(rows, numbers)``.

    Args:
        function: the operation.
        numpy: the same with whole NumPy arrays, which ``--interpret`` then calls in its place, and with which
            ``teamnet check`` compares it: ``@operation(numpy=remember_in_numpy)``.
    """
    if function is None:
        return lambda function: Kernel(function, numpy)
    return kernel(function)


class PrivateArray(NamedTuple):
    """A float64 array that a unit keeps to itself.

    Args:
        shape: extents, numbers or names of numbers of the unit; for one of each group of synapses, of that group.
        of_synapses: whether there is one for each group of synapses.
        kept: whether it is part of snapshots and checkpoints; otherwise it has to be written before it is read in
            every environment step.
        initial: value of its elements at the start of a run, and if it is not kept whenever one is continued.
    """

    shape: tuple[str | int, ...]
    of_synapses: bool = False
    kept: bool = False
    initial: float = 0.0


_OF_CLASSES = ("name", "uses_mirrors", "hidden_types", "policy_type", "in_all_teams", "presets", "private")
"""Class variables of a rule that are no settings."""
_EXTENTS = {False: ("rows", "size", "fan_in", "fan_out"), True: ("rows", "inputs", "outputs", "traces")}
"""Names that extents of private arrays may have: of those of a unit, and of those of synapses."""
PER_NEURON = PrivateArray(("rows", "size"))
"""``(rows, size)``; within an environment step."""
PER_ROW = PrivateArray(("rows", 1))
"""``(rows, 1)``; within an environment step."""
PER_SYNAPSE = PrivateArray(("inputs", "outputs"), of_synapses=True, kept=True)
"""``(inputs, outputs)`` of each group of synapses."""
TRACES = PrivateArray(("rows", "inputs", "outputs"), of_synapses=True, kept=True)
"""``(rows, inputs, outputs)`` of each group of synapses."""


@dataclass_transform(kw_only_default=True, frozen_default=True)
@dataclass(frozen=True, kw_only=True)
class Rule:
    """A learning rule with its settings.

    A subclass is a frozen dataclass: its fields, each with a usual value, are the settings, and are options of the
    command line. Operations read those that are numbers: ``unit.step_size``.
    """

    name: ClassVar[str] = ""
    uses_mirrors: ClassVar[bool] = False
    """Whether hidden units multiply what comes from above with a copy of the synapses that leave them."""
    in_all_teams: ClassVar[bool] = False
    """Whether a run has this rule in all of its teams or in none."""
    hidden_types: ClassVar[tuple[str, ...]] = HIDDEN_TYPES
    """The unit types that hidden units may have."""
    policy_type: ClassVar[UnitTypeName] = "categorical"
    """The unit type of an output that chooses one of several actions."""
    private: ClassVar[Mapping[str, PrivateArray]] = MappingProxyType({})
    """The arrays that a unit keeps beside its parameters, by name."""
    presets: ClassVar[Mapping[str, Preset]] = MappingProxyType({})
    """Values for each task, by the name of the preset; the first is the usual one."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._check_declarations()
        dataclass(frozen=True, kw_only=True)(cls)

    @classmethod
    def _check_declarations(cls) -> None:
        """Refuse settings without a usual value or an annotation, and arrays of unknown extents.

        Raises:
            TypeError: saying how to write it.
        """
        annotated = vars(cls).get("__annotations__", {})
        for name in annotated:
            if name not in vars(cls) and "ClassVar" not in str(annotated[name]):
                raise TypeError(f"setting {name!r} needs a usual value, such as {name}: float = 0.1")
        for name, value in vars(cls).items():
            public = not name.startswith("_") and name not in (*_OF_CLASSES, *annotated)
            if public and isinstance(value, int | float | str):
                raise TypeError(f"setting {name!r} needs its type: {name}: {type(value).__name__} = {value!r}")
        if cls.policy_type not in POLICY_TYPES:
            raise TypeError(f"policy_type is {cls.policy_type!r}; known are {', '.join(POLICY_TYPES)}")
        for name, array in vars(cls).get("private", {}).items():
            known = _EXTENTS[array.of_synapses]
            for extent in array.shape:
                if extent not in known and not isinstance(extent, int):
                    kind = "of synapses" if array.of_synapses else "of a unit"
                    raise TypeError(f"array {name!r} {kind} has an extent {extent!r}; known are {', '.join(known)}")

    def __reduce__(self) -> tuple[Any, ...]:
        """A rule of a user's file travels with the text of that file: other nodes need not have it."""
        kind = type(self)
        return _rebuilt, (source_of(kind), kind.__module__, kind.__qualname__, self.settings())

    def settings(self) -> dict[str, Any]:
        """The values of all settings by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def check(self, run: Any, *, single_step: bool) -> None:
        """Refuse settings that make no sense, and runs that the rule cannot train.

        Args:
            run: the :class:`~teamnet.spec.run.RunSpec`, as the team sees it that has the rule.
            single_step: whether episodes of the task have one step.

        Raises:
            SpecError: naming the setting.
        """

    def slots(self, layer: LayerSpec) -> Iterable[SlotSpec]:
        """The slots that the units of a layer write beside their activations."""
        return ()

    def steps(self, layer: LayerSpec) -> Iterable[Draft]:
        """What the units of a layer do in an environment step."""
        raise NotImplementedError

    def free_steps(self, layer: LayerSpec) -> Iterable[Draft]:
        """The steps of :data:`teamnet.dataflow.free.FREE_STEPS`, for rules that can run without a common tick."""
        raise NotImplementedError

    def draws(self, layer: LayerSpec) -> int:
        """Samples that a unit takes of its noise in an environment step."""
        return 1

    def mirrors(self, layer: LayerSpec) -> bool:
        """Whether a unit keeps a copy of the synapses that leave it."""
        return self.uses_mirrors and not layer.is_last

    def state(self) -> Mapping[str, PrivateArray]:
        """The private arrays that units have with these settings; see :meth:`arrays`."""
        return self.arrays()

    def arrays(self) -> dict[str, PrivateArray]:
        """The private arrays that operations know: of this rule and of those that it is derived from."""
        found: dict[str, PrivateArray] = {}
        for kind in reversed(type(self).__mro__):
            found |= vars(kind).get("private", {})
        return found

    def operations(self) -> dict[str, Kernel]:
        """The kernels of all operations by name."""
        found: dict[str, Kernel] = {}
        for kind in reversed(type(self).__mro__):
            found |= {name: value for name, value in vars(kind).items() if isinstance(value, Kernel)}
        return found

    def numbers(self) -> dict[str, float]:
        """The settings that operations can read: those that are numbers, of the type that the class declares."""
        hints, numbers = typing.get_type_hints(type(self)), {}
        for field in dataclasses.fields(self):
            if isinstance(field.default, int | float):
                kind = float if hints[field.name] is float else type(field.default)
                numbers[field.name] = kind(getattr(self, field.name))
        return numbers

    def in_team(self, *, policy: bool) -> Rule:
        """The rule with the settings that a team uses.

        Args:
            policy: whether the team's output is a categorical policy.
        """
        return self

    def slowed(self) -> Rule:
        """The rule after a divergence, with smaller steps; learning rates are halved without it."""
        return self

    @operation
    def mask_actions(unit: Unit, action_mask: Array) -> None:
        """The first step of a policy whose environment tells which actions are valid: remember them."""
        copy(flat(action_mask), flat(unit.action_mask))

    @property
    def allows_skips(self) -> bool:
        """Whether a layer may read several layers."""
        return True

    @property
    def whole_layers(self) -> bool:
        """Whether a unit has to be a whole layer."""
        return False

    @property
    def runs_free(self) -> bool:
        """Whether units run without a common tick, and so may be at different steps."""
        return False

    @property
    def outgoing(self) -> str:
        """What stands for the weights above: a ``mirror`` of them, weights of the unit's ``own``, or ``fixed`` ones."""
        return "mirror"

    @property
    def adam_epsilon(self) -> float:
        """The smallest denominator of Adam's updates; that of the official MAP propagation code."""
        return 1e-9

    @property
    def decay_of_weights(self) -> float:
        """The share of every weight between two layers that each update removes."""
        return 0.0


class UnreadRule(Rule):
    """A user's rule whose file is not executed: enough for a trained policy, which has parameters and no steps."""


class UnreadReference(UnreadRule):
    """The same of a rule whose policy has a reference category."""

    policy_type = "reference"


def _rebuilt(source: Source | None, module: str, name: str, settings: Mapping[str, Any]) -> Rule:
    return found_class(source, module, name)(**settings)
