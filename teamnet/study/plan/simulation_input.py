"""The input of a simulation as arrays: processes, their activities and needs, slots, nodes and costs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class SimulationInput(NamedTuple):
    """The arrays that are constant during a simulation.

    Args:
        first, length: of each process, where its activities begin and their number; int64 ``(processes,)``.
        seconds: of each activity; float64 ``(activities,)``.
        needs, needed: rows ``(slot, publications)`` of all activities, and where those of each activity begin; int64.
        shows, shown: slots that all activities publish, and where those of each activity begin; int64.
        node: of each process; int64 ``(processes,)``.
        writers: processes of each node that write each slot; int64 ``(slots, nodes)``.
        parts, rounds, every: of each slot: nodes that write it, publications in a step, and of how many one is sent.
        readers, read: processes that read a slot at a node, and where those of ``slot * nodes + node`` begin; int64.
        targets, target: nodes that read a slot, and where those of each slot begin; int64.
        size: bytes that a node writes in a slot at once; float64 ``(slots, nodes)``.
        pool, cores: of each node its set of cores, and where the cores of each set begin; int64.
        latency, byte_seconds: of a message, and of a byte of it, from each node to each other; float64
            ``(nodes, nodes)``, seconds.
        slowness: how many times longer an activity takes at a node; float64 ``(nodes,)``.
        costs: seconds to ``switch``, of an ``idle`` core, to ``wake``, ``send``, ``receive``, ``publish``, to ``look``
            again, and to ``sleep``, and the share by which activities vary; float64 ``(9,)``.
    """

    first: np.ndarray
    length: np.ndarray
    seconds: np.ndarray
    needs: np.ndarray
    needed: np.ndarray
    shows: np.ndarray
    shown: np.ndarray
    node: np.ndarray
    writers: np.ndarray
    parts: np.ndarray
    rounds: np.ndarray
    every: np.ndarray
    readers: np.ndarray
    read: np.ndarray
    targets: np.ndarray
    target: np.ndarray
    size: np.ndarray
    pool: np.ndarray
    cores: np.ndarray
    latency: np.ndarray
    byte_seconds: np.ndarray
    slowness: np.ndarray
    costs: np.ndarray
