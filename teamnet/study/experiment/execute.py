"""One run of a study, from its spec to the content of its files.

It works in a folder of its own that is thrown away, so that it may run on any node of a cluster, and so that the
study's folder only ever holds whole runs.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.kept_run import RUN_FILES
from teamnet.study.peers import PeerSpec, train_peer
from teamnet.training.lean import train_lean


def execute(spec: RunSpec | PeerSpec) -> dict[str, bytes]:
    """Do one run in this process, without Ray; returns the content of its files.

    Raises:
        TeamnetError: the run is refused or failed.
    """
    if isinstance(spec, PeerSpec):
        return train_peer(spec)
    with TemporaryDirectory(prefix="teamnet-paper-") as name:
        folder = Path(name)
        train_lean(spec, LaunchSpec(backend="local"), folder)
        return {file: (folder / file).read_bytes() for file in RUN_FILES}
