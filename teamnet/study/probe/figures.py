"""What a probe has measured, as dataclasses, and the file that keeps it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import permutations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from teamnet.errors import SpecError
from teamnet.study.plan.origin import Origin


class Times(NamedTuple):
    """Percentiles of some times, in seconds."""

    p50: float
    p90: float
    p99: float


def percentiles(nanoseconds: np.ndarray, share: float = 1.0) -> Times:
    """Of times of shape ``(count,)`` in nanoseconds, each multiplied by ``share``."""
    return Times(*(float(value) * share / 1e9 for value in np.percentile(nanoseconds, (50, 90, 99))))


class Message(NamedTuple):
    """Messages of one size from one node to another, beside those of plain sockets in Python.

    Args:
        size: bytes.
        latency: half of a round trip; seconds.
        plain_latency: its median by plain sockets; seconds.
        bandwidth: of messages that are sent without waiting for an answer; bytes per second.
        plain_bandwidth: the same by plain sockets.
    """

    size: int
    latency: Times
    plain_latency: float
    bandwidth: float
    plain_bandwidth: float


class Handover(NamedTuple):
    """From one process to another on the same node, beside a byte through a pipe.

    Args:
        place: where the two processes are pinned: ``one core``, ``two threads of a core``, ``two cores`` or ``two
            sockets``.
        policy: how the other process waits: ``spin``, ``yield`` or ``sleep``.
        seconds: half of a round trip.
        pipe: the median of the same through two pipes; seconds.
    """

    place: str
    policy: str
    seconds: Times
    pipe: float


class Rate(NamedTuple):
    """A rate of one core, beside that of a library.

    Args:
        of: what is measured.
        rate: bytes copied, floating-point operations or steps per second.
        plain: that of ``memmove`` or NumPy; 0 for none.
    """

    of: str
    rate: float
    plain: float


@dataclass(frozen=True)
class NodeProbe:
    """What was measured within a node.

    Args:
        address: of the node.
        origin: its processor, cores and versions.
        memory: bytes.
        messages: between two of its processes, over its own address.
        handovers: between two of its processes.
        copies: memory bandwidth, by the size of the array.
        products: arithmetic, by the shapes of the matrices.
        steps: of the team of ``teamnet train cartpole`` in one process, per second, without the environment.
    """

    address: str
    origin: Origin
    memory: int
    messages: tuple[Message, ...]
    handovers: tuple[Handover, ...]
    copies: tuple[Rate, ...]
    products: tuple[Rate, ...]
    steps: float


@dataclass(frozen=True)
class Link:
    """What was measured from one node to another; both count from 0."""

    source: int
    target: int
    messages: tuple[Message, ...]


@dataclass(frozen=True)
class Probe:
    """What was measured on a cluster, the coordinator's node first; a link for each ordered pair of nodes.

    Args:
        nodes: what was measured within each.
        links: between each two.
        shared_cpus: whether all nodes are on one machine, as network namespaces are.
    """

    nodes: tuple[NodeProbe, ...]
    links: tuple[Link, ...]
    shared_cpus: bool = False

    def latency(self, source: int, target: int) -> float:
        """Seconds by which a small message between two nodes takes longer than one within them."""
        within = [self.nodes[node].messages[0].latency.p50 for node in (source, target)]
        return max(0.0, self._link(source, target).messages[0].latency.p50 - sum(within) / 2)

    def bandwidth(self, source: int, target: int) -> float:
        """Bytes per second of the largest messages."""
        return self._link(source, target).messages[-1].bandwidth

    def speed(self, node: int) -> float:
        """Of a node's arithmetic, as a multiple of that of the first node."""
        return self.nodes[node].steps / self.nodes[0].steps

    def _link(self, source: int, target: int) -> Link:
        count = len(self.nodes) - 1
        return self.links[source * count + target - (target > source)]


def to_json(probe: Probe) -> dict[str, Any]:
    """JSON types."""
    return asdict(probe)


def load_probe(path: Path) -> Probe:
    """Read what ``teamnet probe`` wrote.

    Raises:
        SpecError: the file does not describe a probe.
    """
    try:
        read = json.loads(path.read_text())
        nodes = tuple(_node(**node) for node in read["nodes"])
        links = tuple(
            Link(int(link["source"]), int(link["target"]), _messages(link["messages"])) for link in read["links"]
        )
        if not nodes or [(link.source, link.target) for link in links] != [*permutations(range(len(nodes)), 2)]:
            raise ValueError("it does not have a link for each pair of nodes")
        return Probe(nodes, links, bool(read["shared_cpus"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise SpecError(
            "probe", expected=f"the result of teamnet probe, at {path}", found=f"{type(error).__name__}: {error}",
            remedy="Write it anew: teamnet probe --out FOLDER.",
        ) from None


def _node(**read: Any) -> NodeProbe:
    read["origin"] = Origin(**read["origin"])
    read["messages"] = _messages(read["messages"])
    read["handovers"] = tuple(
        Handover(str(place), str(policy), _times(seconds), _positive(pipe))
        for place, policy, seconds, pipe in read["handovers"]
    )
    for name in ("copies", "products"):
        read[name] = tuple(Rate(str(of), _positive(rate), _positive(plain)) for of, rate, plain in read[name])
    return NodeProbe(**{**read, "steps": _positive(read["steps"]), "memory": int(read["memory"])})


def _messages(rows: Iterable[Any]) -> tuple[Message, ...]:
    found = tuple(
        Message(int(size), _times(latency), *map(_positive, rest)) for size, latency, *rest in rows
    )
    if not found:
        raise ValueError("it has no messages")
    return found


def _times(row: Iterable[Any]) -> Times:
    return Times(*map(_positive, row))


def _positive(value: Any) -> float:
    if not (math.isfinite(value) and value > 0.0):
        raise ValueError(f"{value!r} is not a time or a rate")
    return float(value)
