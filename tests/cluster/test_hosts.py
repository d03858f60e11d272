"""One run over several hosts, each with an address and a Ray node of its own: ``make test-cluster``."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.chaos.processes import RELAY, UNIT, actors, command_lines, left_after
from tests.cluster.hosts import BIN, Hosts
from tests.rules.user_rules import PERTURBATION, SWISH

pytestmark = pytest.mark.cluster
SHORT = ("cartpole", "--env-steps", "100", "--hidden", "12", "6", "--settle-steps", "5", "--json")
LONG = ("cartpole", "--env-steps", "500", *SHORT[3:])
"""Long enough, over slow links, to be found and attacked meanwhile."""


@pytest.fixture(scope="module")
def hosts():
    with Hosts(3) as its:
        yield its


@pytest.fixture(scope="module")
def digest(hosts: Hosts) -> str:
    return _local_digest(hosts, SHORT)


def _local_digest(hosts: Hosts, options: tuple[str, ...]) -> str:
    command = [str(BIN / "teamnet"), "train", *options, "--backend", "local"]
    return json.loads(hosts.run_inside(0, command).splitlines()[-1])["digest"]


@pytest.mark.parametrize("placement", ["pack", "spread", "by-team", "by-layer", "map"])
@pytest.mark.parametrize(("transport", "grain"), [("board", "layer"), ("board", "block:4"), ("ray", "layer")])
def test_placement_transport_and_grain_change_no_bit(
    hosts: Hosts, digest: str, placement: str, transport: str, grain: str
):
    if placement == "map":
        placement = f"actor={hosts.addresses[1]},critic={hosts.addresses[2]},critic.2={hosts.addresses[0]}"
    out = hosts.teamnet("train", *SHORT, "--placement", placement, "--transport", transport, "--grain", grain)
    assert json.loads(out.splitlines()[-1])["digest"] == digest


def test_a_neuron_for_each_actor_on_three_hosts_changes_no_bit(hosts: Hosts, digest: str):
    out = hosts.teamnet("train", *SHORT, "--placement", "spread", "--grain", "neuron")
    assert json.loads(out.splitlines()[-1])["digest"] == digest


def test_a_users_rule_and_function_travel_to_hosts_without_their_files(hosts: Hosts, tmp_path: Path):
    rule, function, out = tmp_path / "own.py", tmp_path / "swish.py", tmp_path / "run"
    rule.write_text(PERTURBATION)
    function.write_text(SWISH)
    options = (*SHORT[:1], "--env-steps", "100", "--hidden", "12", "6", "--rule", str(rule), "--function",
               f"{function}:swish", "--layers", "critic.3:reads=2,0", "actor.hidden:units=bernoulli", "--json")
    digest = _local_digest(hosts, (*options[:-1], "--json"))
    begin = [str(BIN / "teamnet"), "train", *options, "--env-steps", "50", "--backend", "local", "--out", str(out)]
    hosts.run_inside(0, begin)
    rule.unlink()
    function.unlink()
    end = hosts.teamnet("resume", str(out), "--env-steps", "100", "--backend", "ray", "--placement", "spread", "--json")
    assert json.loads(end.splitlines()[-1])["digest"] == digest


def test_an_emulated_link_is_slower_and_changes_no_bit(hosts: Hosts, digest: str):
    slower = ("--placement", "by-team", "--link-latency", "0.005")
    its = json.loads(hosts.teamnet("train", *SHORT, *slower).splitlines()[-1])
    assert its["digest"] == digest
    assert its["seconds"] > 100 * 2 * 0.005  # an observation there and a value back, in every step


def test_a_wrong_token_is_refused_with_our_message(hosts: Hosts):
    (hosts.folder / "wrong").write_text("0" * 64)
    done = hosts.start_inside(
        0, [str(BIN / "teamnet"), "train", *SHORT, "--address", hosts.address],
        env=hosts.environment | {"RAY_AUTH_TOKEN_PATH": str(hosts.folder / "wrong")}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )
    _, said = done.communicate(timeout=120)
    assert done.returncode == 2
    assert f"address {hosts.address}: expected a Ray cluster that takes this user's token" in said


def test_the_tokens_file_is_its_owners_alone(hosts: Hosts):
    assert (hosts.folder / "token").stat().st_mode & 0o777 == 0o600


def _relay_ports(hosts: Hosts, number: int) -> list[int]:
    listening = hosts.run_inside(number, ["ss", "-Hltn", "src", hosts.addresses[number]])
    return [int(port) for port in re.findall(rf"{re.escape(hosts.addresses[number])}:(\d+)", listening)]


def test_garbage_at_the_relays_port_stops_nothing(hosts: Hosts):
    digest = _local_digest(hosts, LONG)
    before = set(_relay_ports(hosts, 0))
    run = hosts.start_inside(
        0, [str(BIN / "teamnet"), "train", *LONG, "--placement", "by-team", "--link-latency", "0.03", "--address",
            hosts.address],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    relay: list[int] = []
    while not relay and run.poll() is None:
        greeting = f"exec 3<>/dev/tcp/{hosts.addresses[0]}/%d; timeout 2 head -c 16 <&3 | grep -q 'teamnet relay'"
        relay = [
            port for port in set(_relay_ports(hosts, 0)) - before
            if hosts.try_inside(1, ["bash", "-c", greeting % port])
        ]
    assert len(relay) == 1
    attack = (
        "import random, socket, sys\n"
        "for _ in range(10_000):\n"
        "    try:\n"
        "        with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5) as peer:\n"
        "            peer.sendall(random.randbytes(random.randint(1, 200)))\n"
        "    except OSError: pass\n"
    )
    hosts.run_inside(1, [str(BIN / "python"), "-c", attack, hosts.addresses[0], str(relay[0])])
    said, complaints = run.communicate(timeout=300)
    assert run.returncode == 0, complaints
    assert json.loads(said.splitlines()[-1])["digest"] == digest
    assert "relay refused connection 1, from" in complaints


def test_the_relay_listens_at_the_hosts_own_address_only(hosts: Hosts):
    run = hosts.start_inside(
        0, [str(BIN / "teamnet"), "train", *SHORT, "--placement", "by-team", "--link-latency", "0.03", "--address",
            hosts.address],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )
    seen = set()
    while run.poll() is None:
        listening = hosts.run_inside(0, ["ss", "-Hltnp"])
        seen |= {line.split()[3] for line in listening.splitlines() if f"pid={run.pid}," in line}
    assert run.wait() == 0
    assert seen
    wildcard = {place for place in seen if place.startswith(("0.0.0.0:", "*:", "[::]:"))}
    relay = {place for place in seen if place.startswith(hosts.addresses[0])}
    assert relay
    assert not wildcard & relay


def test_a_job_that_is_submitted_gives_the_same_digest(hosts: Hosts, digest: str):
    out = hosts.run_inside(0, [
        str(BIN / "ray"), "job", "submit", "--address", "http://127.0.0.1:8265", "--",
        str(BIN / "teamnet"), "train", *SHORT, "--placement", "by-team",
    ])
    assert digest in out


def test_the_runs_of_a_study_are_spread_over_the_hosts(hosts: Hosts):
    out = hosts.folder / "study"
    hosts.teamnet("paper", "--quick", "--tasks", "cartpole", "--methods", "reinforce", "--out", str(out))
    results = [json.loads(line) for line in (out / "quick" / "results.jsonl").read_text().splitlines()]
    assert {(result["method"], result["seed"]) for result in results} == {("reinforce", 0), ("reinforce", 1)}


def test_a_host_that_is_lost_ends_the_run_with_its_name_and_the_way_on(tmp_path: Path):
    with Hosts(2) as hosts:
        run = hosts.start_inside(
            0, [str(BIN / "teamnet"), "train", "cartpole", "--placement", "by-team", "--address", hosts.address],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        assert run.stderr
        for line in run.stderr:
            if "steps/s" in line:
                break
        hosts.kill(1)
        said = run.stderr.read()
        assert run.wait(60) == 2
        assert "teamnet resume" in said


LONGER = ("cartpole", "--env-steps", "6000", *SHORT[3:])


def _begin(hosts: Hosts, options: tuple[str, ...], placement: str) -> subprocess.Popen[str]:
    """A run that has just written its first checkpoint."""
    out = hosts.folder / "run"
    run = hosts.start_inside(
        0, [str(BIN / "teamnet"), "train", *options, "--placement", placement, "--save-every", "500", "--out", str(out),
            "--address", hosts.address],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    while not list(out.glob("checkpoint-*.json")):
        assert run.poll() is None
        time.sleep(0.1)
    return run


def test_a_host_that_is_lost_is_done_without_and_the_digest_is_the_same():
    with Hosts(2) as hosts:
        run = _begin(hosts, LONGER, "spread")
        hosts.kill(1)
        said, complaints = run.communicate(timeout=300)
        assert run.returncode == 0, complaints
        summary = json.loads(said.splitlines()[-1])
        assert summary["recoveries"][0]["how"] == "a new team"
        assert summary["digest"] == _local_digest(hosts, LONGER)


def test_a_relay_that_is_killed_is_mended_within_a_minute_and_the_digest_is_the_same():
    with Hosts(2) as hosts:
        run = _begin(hosts, LONGER, "by-layer")
        (relay,) = actors(command_lines(hosts.processes(1)), RELAY)
        os.kill(relay, signal.SIGKILL)
        said, complaints = run.communicate(timeout=150)
        assert run.returncode == 0, complaints
        summary = json.loads(said.splitlines()[-1])
        assert [its["how"] for its in summary["recoveries"]] == ["a new team"]
        assert summary["recoveries"][0]["seconds"] < 60.0
        assert summary["digest"] == _local_digest(hosts, LONGER)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_ten_seconds_after_the_end_of_a_driver_no_actor_is_left_on_any_host(ending: signal.Signals):
    with Hosts(2) as hosts:
        run = _begin(hosts, ("cartpole", "--env-steps", "10000000", *SHORT[3:]), "by-layer")
        ours = {
            pid: line for host in range(2) for pid, line in command_lines(hosts.processes(host)).items()
            if line.startswith((UNIT, RELAY))
        }
        assert len(ours) == 6 + 1  # the relay of the first host is a thread of the driver
        run.send_signal(ending)
        _, complaints = run.communicate(timeout=30)
        assert run.returncode == (-ending if ending == signal.SIGKILL else 130), complaints
        assert not left_after(ours, 10.0)


SRUN = """\
#!/bin/bash
while [[ $1 == --* ]]; do
    [[ $1 == --nodelist=* ]] && node=${1#--nodelist=}
    shift
done
exec ip netns exec "$node" env HOST_ADDRESS="$(grep "^$node " "$SLURM_STUB/hosts" | cut -d' ' -f2)" "$@"
"""
SCONTROL = '#!/bin/bash\ncut -d" " -f1 "$SLURM_STUB/hosts"\n'
HOSTNAME = '#!/bin/bash\necho "$HOST_ADDRESS"\n'


def test_the_slurm_script_runs_where_srun_means_these_hosts(tmp_path: Path, digest: str):
    """Slurm's own commands are stood in for; the script, Ray and teamnet are real."""
    with Hosts(2, joined=False) as hosts:
        stub = tmp_path / "stub"
        stub.mkdir()
        names = [f"{hosts.namespace(number)} {address}\n" for number, address in enumerate(hosts.addresses)]
        (stub / "hosts").write_text("".join(names))
        for name, content in (("srun", SRUN), ("scontrol", SCONTROL), ("hostname", HOSTNAME)):
            (stub / name).write_text(content)
            (stub / name).chmod(0o755)
        environment = os.environ | {
            "PATH": f"{stub}:{os.environ['PATH']}", "SLURM_STUB": str(stub), "SLURM_JOB_NODELIST": "all",
            "SLURM_JOB_ID": "1", "SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_CPUS_PER_TASK": "4",
            "TEAMNET_ENVIRONMENT": str(BIN.parent), "RAY_worker_niceness": "0",
        }
        script = Path(__file__).parent.parent.parent / "cluster" / "slurm.sh"
        done = subprocess.run(
            [script, "train", *SHORT, "--placement", "by-team"], env=environment, capture_output=True, text=True,
            timeout=240, check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout.splitlines()[-1])["digest"] == digest
        assert not list(tmp_path.glob(".teamnet-*"))


def test_nothing_is_left_on_the_machine(hosts: Hosts):
    there = command_lines([pid for number in range(hosts.count) for pid in hosts.processes(number)])
    assert there, "Ray itself"
    assert not left_after({pid: line for pid, line in there.items() if line.startswith((UNIT, RELAY))}, 10.0)

