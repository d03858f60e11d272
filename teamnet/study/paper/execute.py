"""One run of the study, from its spec to the content of its files.

It works in a folder of its own that is thrown away, so that it may run on any node of a cluster, and so that the
study's folder only ever holds whole runs.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from teamnet.spec.files import to_plain
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.kept_run import RUN_FILES
from teamnet.study.paper.methods import PeerSpec
from teamnet.training.lean import train_lean
from teamnet.training.run_files import SPEC


def execute(spec: RunSpec | PeerSpec) -> dict[str, bytes]:
    """Do one run in this process, without Ray; returns the content of its files.

    Raises:
        TeamnetError: the run is refused or failed.
    """
    if isinstance(spec, PeerSpec):
        return _execute_peer(spec)
    with TemporaryDirectory(prefix="teamnet-paper-") as name:
        folder = Path(name)
        train_lean(spec, LaunchSpec(backend="local"), folder)
        return {file: (folder / file).read_bytes() for file in RUN_FILES}


def _execute_peer(spec: PeerSpec) -> dict[str, bytes]:
    from teamnet.study.peers import train_peer  # late: it imports PyTorch

    files = train_peer(spec.task, spec.algorithm, spec.seed, spec.episodes)
    about = json.loads(files[SPEC])
    about |= {"spec": to_plain(spec), "settings": about["spec"]}  # what the library was told, for readers
    return files | {SPEC: json.dumps(about, indent=2).encode()}
