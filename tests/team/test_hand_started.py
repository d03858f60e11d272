"""A cluster that was started by hand with ``ray start --head``, with and without a token."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
TRAIN = "from teamnet.cli.main import main; main()"


@dataclass(frozen=True)
class Head:
    folder: Path
    address: str

    def train(self, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``teamnet train`` on it, as a user who knows nothing of modes has it."""
        usual = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH_")}
        arguments = ["train", "cartpole", "--hidden", "3", "--env-steps", "20", "--address", self.address, "--json"]
        return subprocess.run(
            [sys.executable, "-c", TRAIN, *arguments], env=usual | environment, capture_output=True, text=True,
            check=False, timeout=120,
        )


@pytest.fixture(params=["token", "disabled"], scope="module")
def mode(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def head(mode: str) -> Iterator[Head]:
    folder = Path(tempfile.mkdtemp(prefix="h", dir="/tmp"))  # short: it holds sockets
    (folder / "token").write_text("0123456789abcdef" * 4)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = os.environ | {
        "RAY_AUTH_MODE": mode, "RAY_AUTH_TOKEN_PATH": str(folder / "token"), "RAY_USAGE_STATS_ENABLED": "0",
    }
    command = [
        str(BIN / "ray"), "start", "--head", "--block", f"--port={port}", f"--temp-dir={folder}", "--num-cpus=2",
        "--include-dashboard=false", "--object-store-memory=80000000", "--node-ip-address=127.0.0.1",
    ]
    with (folder / "printed").open("w") as printed:
        process = subprocess.Popen(command, env=environment, stdout=printed, stderr=printed, start_new_session=True)
    try:
        end = time.monotonic() + 90
        while "Ray runtime started" not in (folder / "printed").read_text():
            assert process.poll() is None, (folder / "printed").read_text()
            assert time.monotonic() < end, (folder / "printed").read_text()
            time.sleep(0.1)
        yield Head(folder, f"127.0.0.1:{port}")
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        finally:
            os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
            shutil.rmtree(folder, ignore_errors=True)


def test_who_has_the_token_joins_whatever_the_mode(head: Head):
    done = head.train(RAY_AUTH_TOKEN_PATH=str(head.folder / "token"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["actors"] == 4
    assert not [line for line in done.stderr.splitlines() if "Auth" in line or "gcs_client" in line]


@pytest.mark.parametrize("mode", ["token"], indirect=True, scope="module")
@pytest.mark.parametrize("given", ["another", "none", "damaged"])
def test_who_has_not_is_refused_with_one_line(head: Head, tmp_path: Path, given: str):
    file = tmp_path / "token"
    if given != "none":
        file.write_bytes(b"0" * 64 if given == "another" else b"\xff\xfe")
    done = head.train(RAY_AUTH_TOKEN_PATH=str(file))
    assert done.returncode == 2, done.stderr
    refusal = [line for line in done.stderr.splitlines() if line != "starting Ray for 4 actors"]
    assert len(refusal) == 1
    assert refusal[0].startswith(f"teamnet: address {head.address}: ")
    assert "RAY_AUTH_MODE" in refusal[0]
    assert str(file) in refusal[0]


def test_a_port_at_which_something_else_listens_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        done = Head(Path(), address).train()
    assert done.returncode == 2
    assert [line for line in done.stderr.splitlines() if line.startswith("teamnet: ")] == done.stderr.splitlines()[-1:]
    assert f"address {address}" in done.stderr
