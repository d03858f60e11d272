"""Several hosts on one machine: network namespaces with addresses of their own, joined by a bridge, a Ray node in each.

They need root and ``ip``. Everything is removed at the end, whatever happens in between.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.cluster.delayed_links import MTU

PORT = 6379
BIN = Path(sys.executable).parent
_START_SECONDS = 180
_END_SECONDS = 20


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


class Hosts:
    """``count`` hosts, the first of which is the head of a Ray cluster.

    Args:
        count: how many.
        cpus: that each of them says it has.
        joined: whether to start a Ray node on each.
        seconds: by which a packet from one host, a row, to another one, a column, is late; ``None`` for a bridge.
    """

    def __init__(
        self, count: int, cpus: int = 4, *, joined: bool = True, seconds: Sequence[Sequence[float]] | None = None
    ) -> None:
        self.count, key = count, secrets.token_bytes(2)
        self.addresses = [f"10.{64 + key[0] % 64}.{key[1]}.{number + 1}" for number in range(count)]
        self.address = f"{self.addresses[0]}:{PORT}"
        self._cpus, self._joined, self._seconds = cpus, joined, seconds
        self._name = f"tn{key.hex()}"
        self._open = ExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="teamnet-hosts-", dir="/tmp"))  # short: it holds sockets
        self.environment = os.environ | {
            "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.folder / "token"), "RAY_worker_niceness": "0",
            "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0",
        }
        self._nodes: list[subprocess.Popen[Any]] = []

    def __enter__(self) -> Hosts:
        try:
            self._build()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def _build(self) -> None:
        from teamnet.team.token import ensure_token

        self._open.callback(shutil.rmtree, self.folder, ignore_errors=True)
        ensure_token(self.environment)
        if self._seconds is None:
            _ip("link", "add", self._name, "type", "bridge")
            self._open.callback(_ip, "link", "del", self._name)
            _ip("link", "set", self._name, "up")
        else:
            self._start_forwarding(self._seconds)
        for number, address in enumerate(self.addresses):
            self._add_host(number, address)
        self._open.callback(self._end_nodes)
        for number in range(len(self.addresses) if self._joined else 0):  # one after the other: they share a folder
            self._nodes.append(self._start_node(number))
            self._wait_until_joined(number + 1)

    def _add_host(self, number: int, address: str) -> None:
        name, inner, outer = self.namespace(number), f"{self._name}i{number}", f"{self._name}o{number}"
        _ip("netns", "add", name)
        self._open.callback(_ip, "netns", "del", name)
        if self._seconds is None:
            _ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", name)
            _ip("link", "set", outer, "master", self._name, "up")
        else:
            _ip("link", "set", inner, "netns", name, "mtu", str(MTU))
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "address", "add", f"{address}/24", "dev", inner)
        _ip("-n", name, "link", "set", inner, "up")

    def _start_forwarding(self, seconds: Sequence[Sequence[float]]) -> None:
        devices = [f"{self._name}i{number}" for number in range(self.count)]
        settings = {"devices": devices, "addresses": self.addresses, "seconds": seconds}
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.cluster.delayed_links", json.dumps(settings)], stdout=subprocess.PIPE,
            text=True,
        )
        self._open.callback(process.wait)
        self._open.callback(process.kill)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

    def namespace(self, number: int) -> str:
        """The name of a host's network namespace."""
        return f"{self._name}n{number}"

    def _start_node(self, number: int) -> subprocess.Popen[Any]:
        joining = ["--address", self.address] if number else [
            "--head", "--port", str(PORT), "--dashboard-host", "127.0.0.1", "--temp-dir", str(self.folder / "ray")
        ]
        with (self.folder / f"node-{number}.log").open("w") as log:
            return subprocess.Popen(
                self._inside(number, [
                    str(BIN / "ray"), "start", *joining, "--node-ip-address", self.addresses[number], "--num-cpus",
                    str(self._cpus), "--object-store-memory", str(80 << 20), "--disable-usage-stats", "--block",
                ]),
                env=self.environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )

    def _wait_until_joined(self, count: int) -> None:
        code = (
            "import ray, sys; ray.init(sys.argv[1], log_to_driver=False, logging_level='error');"
            "sys.exit(sum(node['Alive'] for node in ray.nodes()) < int(sys.argv[2]))"
        )
        if count == 1:
            port = f"</dev/tcp/{self.addresses[0]}/{PORT}"
            self._wait_for("the head", lambda: self.try_inside(0, ["bash", "-c", port]))
        self._wait_for(f"node {count}", lambda: self._all_nodes_run() and self.try_inside(
            0, [str(BIN / "python"), "-c", code, self.address, str(count)]
        ))

    def _all_nodes_run(self) -> bool:
        """Start nodes anew that have ended: Ray gives one up that a busy machine has not started within 30 seconds."""
        ended = [number for number, node in enumerate(self._nodes) if node.poll() is not None]
        for number in ended:
            self._nodes[number] = self._start_node(number)
        return not ended

    def _wait_for(self, what: str, there: Any) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not there():
            if time.monotonic() > deadline:
                logs = "\n".join(path.read_text() for path in sorted(self.folder.glob("*.log")))
                raise TimeoutError(f"{what} did not start within {_START_SECONDS} s:\n{logs}")
            time.sleep(0.5)

    def _inside(self, number: int, command: list[str]) -> list[str]:
        return ["ip", "netns", "exec", self.namespace(number), *command]

    def start_inside(self, number: int, command: list[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a command on a host."""
        return subprocess.Popen(self._inside(number, command), **({"env": self.environment} | options))

    def run_inside(self, number: int, command: list[str], seconds: float = 300, **environment: str) -> str:
        """Run a command on a host; returns what it prints.

        Raises:
            AssertionError: it failed.
        """
        done = subprocess.run(
            self._inside(number, command), env=self.environment | environment, capture_output=True, text=True,
            timeout=seconds, check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def try_inside(self, number: int, command: list[str]) -> bool:
        """Whether a command on a host succeeds."""
        return subprocess.run(
            self._inside(number, command), env=self.environment, capture_output=True, check=False
        ).returncode == 0

    def teamnet(self, *arguments: str, seconds: float = 300) -> str:
        """Run ``teamnet`` on the head, with this cluster's address; returns what it prints."""
        return self.run_inside(0, [str(BIN / "teamnet"), *arguments, "--address", self.address], seconds)

    def kill(self, number: int) -> None:
        """Kill every process on a host, as a machine that fails does."""
        for pid in self.processes(number):
            os.kill(pid, signal.SIGKILL)

    def set_reachable(self, number: int, reachable: bool) -> None:
        """Pull a host's cable, or plug it in again; it notices neither but by what does not come."""
        _ip("link", "set", f"{self._name}o{number}", "up" if reachable else "down")

    def replace_lost(self) -> None:
        """Start a Ray node on every host that has none any more."""
        lost = [number for number, node in enumerate(self._nodes) if node.poll() is not None]
        for number in lost:
            self.kill(number)
        if lost:
            self._wait_until_joined(self.count)

    def processes(self, number: int) -> list[int]:
        """All processes on a host."""
        command = ["ip", "netns", "pids", self.namespace(number)]
        return [int(pid) for pid in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()]

    def _end_nodes(self) -> None:
        for node in reversed(self._nodes):
            node.send_signal(signal.SIGTERM)
        for node in self._nodes:
            try:
                node.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(node.pid, signal.SIGKILL)
                node.wait()
        for number in range(len(self.addresses)):  # whatever a node has left is in its namespace
            self.kill(number)
