"""A trained team that acts without its units and without its environment."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from teamnet.dataflow.layers import LayerSpec
from teamnet.errors import CheckpointError, Notice, NumericalError, SpecError, shown
from teamnet.spec.check import check_run
from teamnet.spec.files import from_plain
from teamnet.spec.resolve import Interface, build_teams
from teamnet.spec.run import RunSpec
from teamnet.team.state import check_layers
from teamnet.training.action_map import ActionMap
from teamnet.training.action_masks import masks_of_agents
from teamnet.training.checkpoint import checkpoint_at, load_checkpoint
from teamnet.training.environment_maker import Maker
from teamnet.training.normalisation import Normalisation, frozen
from teamnet.training.policy import Policy
from teamnet.training.spaces import make_environment
from teamnet.training.statistics import Statistics, freeze
from teamnet.training.structure import Structure

_FLAT = Structure()


class TrainedPolicy:
    """From observations to actions.

    Args:
        layers: of the team that acts, from the observation upwards.
        state: arrays by ``team.layer.name`` as in a checkpoint.
        to_action: from the output to an action; ``None`` for a single-step task, whose output is the action.
        seed: of the samples.
        structure: of observations and actions that are flattened.
        normalisation: of observations; ``None`` for none.
    """

    def __init__(
        self, layers: Sequence[LayerSpec], state: Mapping[str, np.ndarray], to_action: ActionMap | None, seed: int = 0,
        structure: Structure = _FLAT, normalisation: Normalisation | None = None,
    ) -> None:
        self._policy, self._normalisation = Policy(layers, state, seed), normalisation
        self.observation_size, self._to_action, self._structure = layers[0].fan_in, to_action, structure
        output = layers[-1]
        self.masked, self._actions = output.masked, output.size
        self._choices = output.choices if output.unit_type.one_agent else ()

    def __repr__(self) -> str:
        return f"<TrainedPolicy: observations of {self.observation_size:,}, outputs of {self._actions:,} numbers>"

    @classmethod
    def load(cls, folder: str | Path, seed: int = 0) -> TrainedPolicy:
        """The policy of the newest checkpoint in a folder; the environment need not be installed.

        Args:
            folder: that ``teamnet train --out`` or ``TeamAgent.save`` wrote to, or the path of a checkpoint, as
                ``save`` returns it.
            seed: of the samples.

        Raises:
            CheckpointError: there is no checkpoint, or it is damaged.
        """
        path = checkpoint_at(Path(folder))
        state, about = load_checkpoint(path)
        if wrappers := about.get("statistics"):
            warnings.warn(
                f"the policy in {folder} expects observations as the wrappers of its training return them "
                f"({', '.join(wrappers)}); normalise_observations would be a part of the policy", Notice, stacklevel=2,
            )
        return cls._of_content(path, state, about, seed)

    @classmethod
    def of_checkpoint(cls, path: Path, seed: int = 0) -> TrainedPolicy:
        """The policy of a checkpoint.

        Args:
            path: of its JSON file.
            seed: of the samples.

        Raises:
            CheckpointError: it is damaged.
        """
        return cls._of_content(path, *load_checkpoint(path), seed)

    @classmethod
    def _of_content(
        cls, path: Path, state: Mapping[str, np.ndarray], about: dict[str, Any], seed: int
    ) -> TrainedPolicy:
        try:
            interface, actions = Interface(**about["interface"]), about["actions"]
            to_action = ActionMap.from_plain(actions) if actions else None
            structure = Structure.from_plain(about.get("structure", {}))
            spec = from_plain(RunSpec, about["spec"], str(path), execute=False)
            check_run(spec)
            means = frozen(spec, interface.observation_size, about["task"].get("normalisation", {}))
            layers = build_teams(spec, interface)[0]
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                str(path), expected="the task's interface", found=f"{type(error).__name__}: {error}",
                remedy="Use the checkpoint before it.",
            ) from None
        check_layers(layers, state)
        return cls(layers, state, to_action, seed, structure, means)

    def predict(
        self, observation: Any, state: None = None, episode_start: Any = None, deterministic: bool = False,
        action_masks: Any = None,
    ) -> tuple[Any, None]:
        """The action for one observation, or the actions for a batch.

        Args:
            observation: numbers ``(size,)`` or ``(rows, size)``, as the training environment returns them after its
                wrappers; of another space than a flat Box, what that environment returns, or a batch of it as of
                Gymnasium's vector environments.
            state, episode_start: ignored: a team has no recurrent state. Stable-Baselines3's evaluation gives them.
            deterministic: every unit takes its mean and a categorical one its most probable action, instead of samples.
            action_masks: 1 or true for each valid action, ``(actions,)`` or ``(rows, actions)``, for an action that is
                chosen; or the mask of one observation as the environment gives it. All are valid if left out.

        Returns:
            The action, or the actions as an array (a list if they are dictionaries or tuples), and ``None`` for the
            recurrent state that other libraries return.

        Raises:
            SpecError: the observation or the mask has another shape, or is not made of numbers.
            NumericalError: it is not finite.
        """
        flat, alone = self._structure.flat(observation)
        batch = self._batch_of(flat)
        if self._normalisation is not None:
            batch = self._normalisation.normalised(batch)
        valid = None if action_masks is None else self._valid(action_masks, len(batch))
        output = self._policy.act(batch, greedy=deterministic, valid=valid)
        if self._to_action is None:
            return (output[0] if alone else output), None
        actions = [self._structure.act(self._to_action(row)) for row in output]
        actions = actions if isinstance(actions[0], dict | tuple) else np.array(actions)
        return (actions[0] if alone else actions), None

    def _valid(self, action_masks: Any, rows: int) -> np.ndarray:
        if not self._choices:
            raise SpecError(
                "action_masks", expected="none for actions that are no choices", found=shown(action_masks),
                remedy="Leave it out.",
            )
        try:
            given = np.atleast_2d(np.asarray(action_masks))
        except ValueError:  # arrays of different lengths
            given = np.array([[None]])
        if rows == 1 and given.shape != (1, self._actions) and (space := self._space_of_actions()) is not None:
            with suppress(ValueError, TypeError, KeyError):
                given = np.atleast_2d(np.concatenate(masks_of_agents(space, action_masks)))
        if given.shape != (rows, self._actions) or not np.isin(given, (0, 1)).all():
            raise SpecError(
                "action_masks", expected=f"0 or 1 for each action, ({self._actions},) or ({rows}, {self._actions})",
                found=shown(action_masks),
                remedy="Give one row for each observation; of several choices, one after the other.",
            )
        ends = np.cumsum(self._choices)[:-1]
        if not all(agent.any(axis=1).all() for agent in np.split(given, ends, axis=1)):
            raise SpecError(
                "action_masks", expected="a valid action in each row" + (", of each choice" if len(ends) else ""),
                found=shown(action_masks), remedy="Leave one valid.",
            )
        return given.astype(bool)

    def _space_of_actions(self) -> gymnasium.Space[Any] | None:
        """The environment's own, where an action has several choices."""
        choices = self._to_action.choices if self._to_action else ()
        if self._structure.action is not None or not choices:
            return self._structure.action
        return gymnasium.spaces.MultiDiscrete(list(choices))

    def _batch_of(self, observation: Any) -> np.ndarray:
        try:
            given = np.asarray(observation)
        except ValueError:  # lists of different lengths
            given = np.array(None)
        fits = given.ndim in (1, 2) and given.shape[-1] == self.observation_size and given.size > 0
        if not fits or given.dtype.kind not in "fiub":
            raise SpecError(
                "observation", expected=f"numbers ({self.observation_size},) or (rows, {self.observation_size})",
                found=f"{given.dtype} {given.shape}", remedy="Give what the training environment returns.",
            )
        batch, means = np.atleast_2d(given.astype(np.float64)), self._normalisation
        if not (np.isfinite(batch).all() if means is None else means.are_finite(batch)):
            raise NumericalError(
                "observation", expected="finite numbers", found=shown(given.tolist()), remedy="Check its source.",
            )
        return batch


def trained_environment(
    spec: RunSpec, state: dict[str, Any], render_mode: str | None = None, make: Maker | None = None
) -> gymnasium.Env[Any, Any]:
    """An environment of a run's task whose wrappers normalise as they did in training, and no longer learn.

    Args:
        spec: of the run.
        state: the ``statistics`` of its checkpoint; see :mod:`teamnet.training.statistics`.
        render_mode: of the environment.
        make: makes it, where Python code has given what the spec cannot name.

    Raises:
        EnvironmentRefused: it cannot be made.
        CheckpointError: its wrappers differ from those in training.
    """
    environment = make_environment(spec, render_mode, make)
    try:
        environment.reset()  # some wrappers have their state only after a reset
        Statistics(environment).restore(state)
    except BaseException:
        environment.close()
        raise
    freeze(environment)
    return environment
