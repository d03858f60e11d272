"""The runs as rows of a table to sort, filter and compare, with their specs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from teamnet.study.report.flat import flat
from teamnet.study.report.found import FoundRun

COLUMNS = ("task", "rule", "seed", "backend", "grain", "env_steps", "episodes", "mean_return", "env_steps_per_second")
_TRAFFIC = ("messages_per_step", "bytes_per_step")


def run_rows(runs: Sequence[FoundRun]) -> dict[str, Any]:
    """What the table's script reads, as JSON types.

    Returns:
        ``columns``: the names; ``rows``: a list for each run, its name first and the digest last; ``specs``: the
        different specs without seeds; ``spec``: of each run, its place in those.
    """
    specs: list[dict[str, Any]] = []
    rows, places = [], []
    for run in runs:
        found = flat(run.spec)
        found.pop("seed", None)
        if found not in specs:
            specs.append(found)
        places.append(specs.index(found))
        values = [run.summary.get(name, run.spec.get(name)) for name in COLUMNS]
        total: Mapping[str, Any] = run.ledger.get("total", {})
        digest = str(run.summary.get("digest") or "-")[:8]
        rows.append([run.name, *values, *(total.get(name) for name in _TRAFFIC), digest])
    names = ("run", *COLUMNS, *_TRAFFIC, "digest")
    return {"columns": [name.replace("_", " ") for name in names], "rows": rows, "specs": specs, "spec": places}
