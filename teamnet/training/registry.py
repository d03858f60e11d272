"""What Gymnasium's registry lists about an environment without making it, and the errors of making one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gymnasium
from gymnasium.envs.registration import load_env_creator

from teamnet.errors import EnvironmentRefused, TeamnetError
from teamnet.spec.presets import environment_id
from teamnet.training.environment_maker import find_creator


def reward_threshold(task: str) -> float | None:
    """The mean return at which an environment counts as solved; ``None`` if it has none.

    Raises:
        EnvironmentRefused: it is not registered.
    """
    name = environment_id(task)
    with refusing(name):
        return None if find_creator(name) else gymnasium.spec(name).reward_threshold


def check_installed(task: str) -> None:
    """Import the entry point of an environment, without making it.

    Raises:
        EnvironmentRefused: it is not registered, or something that it needs is not installed.
    """
    name = environment_id(task)
    with refusing(name):
        if find_creator(name):
            return
        entry = gymnasium.spec(name).entry_point
        if isinstance(entry, str):
            load_env_creator(entry)


@contextmanager
def refusing(name: str) -> Iterator[None]:
    """Turn the exceptions of Gymnasium and of an environment's imports into a refusal.

    Raises:
        EnvironmentRefused: it is not registered, not installed, or cannot be made.
    """
    try:
        yield
    except TeamnetError:
        raise
    except gymnasium.error.DependencyNotInstalled as error:
        extra = "box2d" if "box2d" in str(error).lower() else "all"
        raise EnvironmentRefused(
            name, expected="its packages to be installed", found=str(error).splitlines()[0],
            remedy=f"Run: pip install 'gymnasium[{extra}]'",
        ) from None
    except (gymnasium.error.Error, ModuleNotFoundError) as error:
        raise EnvironmentRefused(
            name, expected="a registered Gymnasium environment", found=str(error),
            remedy="List them with gymnasium.pprint_registry(), or give module:Class or FILE.py:Class.",
        ) from None
    except Exception as error:  # importing and making an environment can raise anything
        raise EnvironmentRefused(
            name, expected="an environment that can be made", found=f"{type(error).__name__}: {error}",
            remedy="Try to make it without teamnet, with the same arguments and wrappers.",
        ) from error
