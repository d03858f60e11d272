"""The files of ``cluster/``, each checked by what its own world offers."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from dockerfile_parse import DockerfileParser
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parent.parent.parent
CLUSTER = ROOT / "cluster"
LAUNCHERS = ("aws.yaml", "on-premises.yaml")
MANIFESTS = ("rayjob.yaml", "raycluster.yaml")
KUBERAY = {
    "RayJob": {
        "entrypoint", "submissionMode", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "activeDeadlineSeconds",
        "backoffLimit", "rayClusterSpec",
    },
    "RayCluster": {"rayVersion", "authOptions", "headGroupSpec", "workerGroupSpecs"},
    "head group": {"rayStartParams", "template"},
    "worker group": {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"},
}
"""The fields of KubeRay's API v1 that the manifests may use (its API reference, version 1.5)."""


def _load(name: str) -> dict[str, Any]:
    return yaml.safe_load((CLUSTER / name).read_text())


@pytest.mark.parametrize("name", LAUNCHERS)
def test_ray_accepts_its_launchers_files(name: str):
    validate_config(prepare_config(_load(name)))


@pytest.mark.parametrize("name", LAUNCHERS)
def test_launched_clusters_ask_for_a_token_and_keep_the_dashboard_on_the_loopback_address(name: str):
    config = _load(name)
    starts = [
        command for kind in ("head_start_ray_commands", "worker_start_ray_commands") for command in config[kind]
        if "ray start" in command
    ]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token" in command for command in starts)
    assert "--dashboard-host=127.0.0.1" in starts[0]
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert "chmod 600 ~/.ray/auth_token" in config["setup_commands"]


@pytest.mark.parametrize("name", LAUNCHERS)
def test_launched_clusters_get_the_package_from_here_and_not_from_an_index(name: str):
    config = _load(name)
    assert config["file_mounts"]["~/teamnet-wheel"] == "dist"
    (install,) = (command for command in config["setup_commands"] if "pip install" in command)
    assert '"$(ls ~/teamnet-wheel/*.whl)[cluster]"' in install
    assert '"teamnet' not in install


def _cluster_of(manifest: dict[str, Any]) -> dict[str, Any]:
    return manifest["spec"]["rayClusterSpec"] if manifest["kind"] == "RayJob" else manifest["spec"]


@pytest.mark.parametrize("name", MANIFESTS)
def test_kubernetes_accepts_every_pod(name: str):
    cluster = _cluster_of(_load(name))
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    assert len(groups) == 2
    for group in groups:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, **group["template"]}
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)


def test_the_kubernetes_check_can_fail():
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": {"container": []}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests_use_kuberays_fields(name: str):
    manifest = _load(name)
    cluster = _cluster_of(manifest)
    assert manifest["apiVersion"] == "ray.io/v1"
    assert set(manifest["spec"]) <= KUBERAY[manifest["kind"]]
    assert set(cluster) <= KUBERAY["RayCluster"]
    assert set(cluster["headGroupSpec"]) <= KUBERAY["head group"]
    assert all(set(group) <= KUBERAY["worker group"] for group in cluster["workerGroupSpecs"])
    assert cluster["authOptions"] == {"mode": "token"}


def test_a_job_ends_its_cluster_and_itself():
    spec = _load("rayjob.yaml")["spec"]
    assert spec["shutdownAfterJobFinishes"] is True
    assert 0 < spec["activeDeadlineSeconds"] <= 86_400
    assert spec["backoffLimit"] == 0


def test_the_image_is_made_of_what_is_there():
    image = DockerfileParser(str(CLUSTER / "Dockerfile"))
    assert image.baseimage == "rayproject/ray:2.60.0-py311-cpu"
    copied = [step["value"].split()[1:-1] for step in image.structure if step["instruction"] == "COPY"]
    assert copied
    assert all((ROOT / source).exists() for sources in copied for source in sources)


def test_rays_version_is_the_same_everywhere():
    named = re.compile(r"(?:ray(?:\[default\])?==|ray:|rayVersion: \"|Ray )(\d+\.\d+\.\d+)")
    found = {path.name: set(named.findall(path.read_text())) for path in CLUSTER.iterdir()}
    assert {version for versions in found.values() for version in versions} == {"2.60.0"}
    assert {name for name, versions in found.items() if versions} >= {*LAUNCHERS, *MANIFESTS, "Dockerfile", "README.md"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(its for extra in project["optional-dependencies"].values() for its in extra)]
    assert {its.split(">=")[1] for its in asked if its.startswith("ray")} == {"2.60"}


def test_no_file_has_an_address_of_its_own():
    for path in CLUSTER.iterdir():
        assert set(re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", path.read_text())) <= {"127.0.0.1"}, path


@pytest.mark.cluster
def test_the_shell_script_is_sound():
    done = subprocess.run(["shellcheck", CLUSTER / "slurm.sh"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
