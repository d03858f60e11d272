"""The token of a Ray cluster: made if there is none, readable by its owner alone."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from teamnet.errors import ResourceError
from teamnet.team.token import ensure_token, token_path


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_token_is_made_for_its_owner_alone_and_kept(tmp_path: Path):
    path = tmp_path / "new" / "token"
    environment = {"RAY_AUTH_TOKEN_PATH": str(path)}
    previous = os.umask(0)
    try:
        ensure_token(environment)
    finally:
        os.umask(previous)
    token = path.read_text()
    assert _mode(path) == 0o600
    assert len(token) >= 32
    ensure_token(environment)
    assert path.read_text() == token


def test_a_token_that_others_may_read_is_closed_to_them(tmp_path: Path):
    path = tmp_path / "token"
    path.write_text("secret")
    path.chmod(0o644)
    ensure_token({"RAY_AUTH_TOKEN_PATH": str(path)})
    assert _mode(path) == 0o600


def test_no_file_is_made_when_the_environment_has_the_token(tmp_path: Path):
    ensure_token({"RAY_AUTH_TOKEN": "secret", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")})
    assert not (tmp_path / "token").exists()


def test_an_empty_token_is_refused(tmp_path: Path):
    (tmp_path / "token").touch()
    with pytest.raises(ResourceError, match="expected a token; found an empty file"):
        ensure_token({"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")})


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match=r"Name another one in RAY_AUTH_TOKEN_PATH"):
        ensure_token({"RAY_AUTH_TOKEN_PATH": str(tmp_path / "file" / "token")})


def test_the_usual_place_is_rays_own():
    assert token_path({}) == Path.home() / ".ray" / "auth_token"


def test_a_private_cluster_asks_for_a_token(tmp_path: Path):
    path = tmp_path / "token"
    code = (
        "import os, ray; from teamnet.team.ray_session import acquire\n"
        "import signal; hear = lambda *_: None; signal.signal(signal.SIGTERM, hear)\n"
        "lease = acquire(''); assert signal.getsignal(signal.SIGTERM) is hear\n"
        "print(ray._raylet.get_authentication_mode() == ray._raylet.AuthenticationMode.TOKEN)\n"
        "lease.release(); assert os.environ['RAY_AUTH_MODE'] == 'disabled'"
    )  # in a process of its own: Ray keeps the mode and the token of the first cluster
    environment = os.environ | {"RAY_AUTH_TOKEN_PATH": str(path), "RAY_AUTH_MODE": "disabled"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    assert _mode(path) == 0o600
