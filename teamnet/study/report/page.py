"""The page: figures, a table of the runs, and all scripts in one file that opens from the disk without a network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from teamnet.errors import ResourceError
from teamnet.spec.check import check_folder
from teamnet.study.experiment.template import render
from teamnet.study.report.found import Found
from teamnet.study.report.headline import headline
from teamnet.study.report.run_table import run_rows
from teamnet.study.report.sections import by_task, sections
from teamnet.training.owned_files import OwnedFiles
from teamnet.training.run_files import check_writable, make_folder


def check_page(path: Path) -> None:
    """Check that :func:`write_page` can write the page, before any run is read.

    Raises:
        ResourceError: vl-convert-python, which has the scripts of Vega-Lite, is not installed.
        SpecError: the path cannot be written to, or is a file that is not a page of teamnet.
    """
    _import_vega()
    check_folder("out", path)
    check_writable(path.parent)
    OwnedFiles(path.parent, "report").check([path.name])


def _import_vega() -> Callable[..., str]:
    """The function that returns the scripts of Vega, Vega-Lite and Vega-Embed."""
    try:
        from vl_convert import javascript_bundle
    except ImportError:
        raise ResourceError(
            "report", expected="vl-convert-python", found="it is not installed",
            remedy="Run: pip install 'teamnet[report]'",
        ) from None
    return javascript_bundle


def write_page(found: Found, path: Path) -> None:
    """Write the page, or replace the one that was there.

    Raises:
        ResourceError, SpecError: as for :func:`check_page`.
    """
    check_page(path)
    page = render(
        "report/page.html.j2", found=found, sections=sections(found), headline=headline(by_task(found.runs)),
        runs=run_rows(found.runs), as_script=_as_script, vega=_import_vega()(),
    )
    make_folder(path.parent)
    OwnedFiles(path.parent, "report").write(path.name, page.encode())


def _as_script(values: Any) -> str:
    """JSON as the content of a script element, without any character that begins markup."""
    return json.dumps(values, separators=(",", ":"), allow_nan=False, default=float).replace("<", "\\u003c")
