"""Measures of an update, given the gradient of the expected reward.

Norms and products are those of expectations: the error of a mean over finitely many samples is subtracted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from teamnet.study.gradients.updates import Moments

_GOAL = 0.9


@dataclass(frozen=True)
class Quality:
    """How good the updates of one layer are, or of the whole team.

    Args:
        cosine: of the mean update and the gradient; ``None`` where one of them is 0 or too uncertain to tell.
        length: of the mean update, as a multiple of the gradient's.
        bias: the distance of the mean update from the gradient, as a share of the gradient's length.
        noise: the variance of one sample's update, as a multiple of the mean update's squared length.
        samples: mean of how many samples' updates has an expected cosine of about 0.9; ``None`` if none has.
    """

    cosine: float | None
    length: float | None
    bias: float | None
    noise: float | None
    samples: float | None


def quality(update: Moments, gradient: Moments) -> Quality:
    """Compare an update with the gradient; the mean of either may be uncertain."""
    squared = _squared_length(update)
    against = _squared_length(gradient)
    if squared <= 0.0 or against <= 0.0:
        return Quality(None, None, None, None, None)
    product = float((update.mean * gradient.mean).sum())
    cosine = max(-1.0, min(1.0, product / math.sqrt(squared * against)))  # an estimate can be beyond both
    bias = math.sqrt(max(0.0, squared - 2.0 * product + against) / against)
    noise = update.variance / squared
    return Quality(cosine, math.sqrt(squared / against), bias, noise, samples_needed(cosine, noise))


def _squared_length(moments: Moments) -> float:
    """Of the expected update; 0 where it is below twice the error of its estimate."""
    squared = float((moments.mean**2).sum())
    return squared - moments.error if squared > 2.0 * moments.error else 0.0


def samples_needed(cosine: float, noise: float) -> float | None:
    """``n`` with ``cosine / sqrt(1 + noise / n) = 0.9``; at least 1, ``None`` where the mean itself is further away."""
    if cosine <= _GOAL:
        return None
    return max(1.0, noise / ((cosine / _GOAL) ** 2 - 1.0))


def joined(layers: list[Moments]) -> Moments:
    """The update of all layers together."""
    return Moments(
        np.concatenate([layer.mean.ravel() for layer in layers]), sum(layer.variance for layer in layers),
        layers[0].samples,
    )
