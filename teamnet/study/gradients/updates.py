"""The mean and the variance of a rule's update, from batches of samples of a task of one step.

The update of a batch is read from Adam's first running mean: with learning rates of 0 nothing changes but that,
``first <- beta1 first + (1 - beta1) g``. So it is the same ``g`` for every rule, also one of a user's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from teamnet.dataflow.layers import LayerSpec
from teamnet.errors import SpecError
from teamnet.kernels.constants import BETA1
from teamnet.team.executor import OutputReader
from teamnet.team.local import LocalExecutor
from teamnet.team.partition import divide_all
from teamnet.team.state import merge, split
from teamnet.training.single_step import SingleStepTask

Parameters = Sequence[np.ndarray]
"""Of each layer the weights, and below them the biases, float64 ``(fan_in + 1, size)``."""


@dataclass(frozen=True)
class Moments:
    """The update of a layer: weights, and below them the biases.

    Args:
        mean: over all samples, float64 ``(fan_in + 1, size)``.
        variance: of one sample's update, summed over all numbers of it.
        samples: how many the mean is of.
    """

    mean: np.ndarray
    variance: float
    samples: int

    @property
    def error(self) -> float:
        """The expected squared distance of the mean from that of endlessly many samples."""
        return self.variance / self.samples


def measure_updates(
    layers: Sequence[LayerSpec], parameters: Parameters, task: SingleStepTask, batches: int, seed: int
) -> list[Moments]:
    """The moments of the update of each layer.

    Args:
        layers: of one team, whose learning rates are 0.
        parameters: of each layer.
        task: gives samples and rewards, a batch at a time.
        batches: how many.
        seed: of the units' noise.

    Raises:
        SpecError: the rule does not update by Adam.
    """
    units = divide_all([list(layers)], "layer", seed)
    executor = LocalExecutor([list(layers)], units)
    state = merge(units, executor.snapshot())
    for layer, array in zip(layers, parameters, strict=True):
        prefix = f"{layer.team}.{layer.number}"
        state[f"{prefix}.incoming.value"], state[f"{prefix}.biases.value"] = array[:-1].copy(), array[-1:].copy()
    executor.restore(split(units, state), 0)
    reader = OutputReader(executor.board)
    before = [np.zeros((layer.fan_in + 1, layer.size)) for layer in layers]
    mean, squares = [array.copy() for array in before], [0.0] * len(layers)
    for number in range(1, batches + 1):
        task.begin()
        executor.act(task.outcome.observation, task.outcome.keep)
        task.step(reader.output(0, number - 1))
        executor.learn(task.outcome.reward)
        for place, unit in enumerate(executor.units):
            first = np.vstack([unit.private("incoming.first"), unit.private("biases.first")])
            update = (first - BETA1 * before[place]) / (1.0 - BETA1)
            before[place] = first
            away = update - mean[place]
            mean[place] += away / number
            squares[place] += float((away * (update - mean[place])).sum())
    if not any(array.any() for array in before):
        raise SpecError(
            "methods", expected="a rule that updates by Adam", found=type(layers[0].rule).__name__,
            remedy="Let it use teamnet.operations.adam: the update is read from Adam's running mean.",
        )
    rows = layers[0].rows
    return [
        Moments(array, rows * total / max(1, batches - 1), rows * batches)
        for array, total in zip(mean, squares, strict=True)
    ]
