"""One run of the study, from its spec to the content of its files.

It works in a folder of its own that is thrown away, so that it may run on any node of a cluster, and so that the
study's folder only ever holds whole runs.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import teamnet
from teamnet.spec.files import to_plain
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.paper.methods import PeerSpec
from teamnet.training.lean import train_lean

RUN_FILES = ("spec.json", "metrics.jsonl", "summary.json")
"""What a run leaves, in the order in which it is written: the summary, which makes it a finished run, comes last."""


def execute(spec: RunSpec | PeerSpec) -> dict[str, bytes]:
    """Do one run in this process, without Ray; returns the content of its files.

    Raises:
        TeamnetError: the run is refused or failed.
    """
    with TemporaryDirectory(prefix="teamnet-paper-") as name:
        folder = Path(name)
        if isinstance(spec, RunSpec):
            train_lean(spec, LaunchSpec(backend="local"), folder)
        else:
            _execute_peer(spec, folder)
        return {file: (folder / file).read_bytes() for file in RUN_FILES}


def _execute_peer(spec: PeerSpec, folder: Path) -> None:
    from teamnet.study.peers import train_peer  # late: it imports PyTorch

    train_peer(spec.task, spec.algorithm, spec.seed, folder, spec.episodes)
    path = folder / "spec.json"
    settings = json.loads(path.read_text())["spec"] if path.exists() else {}  # what the library was told, for readers
    about = {"version": teamnet.__version__, "spec": to_plain(spec), "settings": settings}
    path.write_text(json.dumps(about, indent=2))
