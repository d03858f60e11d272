"""Teams of reinforcement-learning agents that learn without backpropagation, each unit a Ray actor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"
__all__ = ["TeamAgent", "TrainedPolicy", "__version__"]

if TYPE_CHECKING:
    from teamnet.training.agent import TeamAgent
    from teamnet.training.trained_policy import TrainedPolicy


def __getattr__(name: str) -> Any:
    """Import a class when it is first asked for, so that ``import teamnet`` stays light."""
    if name == "TeamAgent":
        from teamnet.training.agent import TeamAgent

        return TeamAgent
    if name == "TrainedPolicy":
        from teamnet.training.trained_policy import TrainedPolicy

        return TrainedPolicy
    raise AttributeError(f"module 'teamnet' has no attribute {name!r}")
