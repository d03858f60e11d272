"""The ledger as Ray metrics, which every node of a cluster exports to Prometheus at its metrics port."""

from __future__ import annotations

from ray.util.metrics import Gauge

from teamnet.team.ledger import Ledger


class RayMetrics:
    """Gauges of one run; Ray prefixes their names with ``ray_``.

    Args:
        labels: tags of every value, such as the task, the rule and the seed.
    """

    def __init__(self, labels: dict[str, str]) -> None:
        self._labels = labels
        self._steps = self._gauge("teamnet_steps", "Steps of the batch of environments.")
        self._messages = self._gauge("teamnet_messages", "Messages so far, by kind of edge.", "edge")
        self._bytes = self._gauge("teamnet_bytes", "Bytes of those messages.", "edge")
        self._linked = self._gauge("teamnet_link_bytes", "Bytes that the relay carried between nodes, with headers.")
        self._seconds = self._gauge("teamnet_unit_seconds", "Seconds of a unit in an average step.", "unit", "activity")

    def _gauge(self, name: str, description: str, *tags: str) -> Gauge:
        return Gauge(name, description=description, tag_keys=(*self._labels, *tags))

    def show(self, ledger: Ledger) -> None:
        """Set all gauges to the values of a ledger."""
        self._steps.set(ledger.steps, self._labels)
        self._linked.set(ledger.relay.get("bytes", 0), self._labels)
        for edge, traffic in ledger.edges.items():
            self._messages.set(traffic.messages, self._labels | {"edge": edge})
            self._bytes.set(traffic.bytes, self._labels | {"edge": edge})
        for unit in ledger.units:
            for activity in ("computed", "published", "waited", "transferred"):
                if unit[activity] is not None:
                    self._seconds.set(unit[activity], self._labels | {"unit": unit["name"], "activity": activity})
