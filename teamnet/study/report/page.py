"""The page: figures, a table of the runs, and all scripts in one file that opens from the disk without a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from teamnet.errors import ResourceError
from teamnet.spec.check import check_folder
from teamnet.study.experiment.template import render
from teamnet.study.report.collect import Found
from teamnet.training.owned_files import OwnedFiles
from teamnet.training.run_files import check_writable, make_folder

_COLUMNS = ("task", "rule", "seed", "backend", "grain", "env_steps", "episodes", "mean_return", "env_steps_per_second")


def check_page(path: Path) -> None:
    """Check that :func:`write_page` can write the page, before any run is read.

    Raises:
        ResourceError: Plotly is not installed.
        SpecError: the path cannot be written to, or is a file that is not a page of teamnet.
    """
    _import_plotly()
    check_folder("out", path)
    check_writable(path.parent)
    OwnedFiles(path.parent, "report").check([path.name])


def _import_plotly() -> Callable[[], str]:
    """The function that returns Plotly's script."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise ResourceError(
            "report", expected="Plotly", found="it is not installed", remedy="Run: pip install 'teamnet[report]'"
        ) from None
    return get_plotlyjs


def write_page(found: Found, path: Path) -> None:
    """Write the page, or replace the one that was there.

    Raises:
        ResourceError, SpecError: as for :func:`check_page`.
    """
    check_page(path)
    from teamnet.study.report.figures import sections

    page = render(
        "report/page.html.j2", found=found, sections=sections(found), columns=_COLUMNS, show=_show,
        plotly=_import_plotly()(),
    )
    make_folder(path.parent)
    OwnedFiles(path.parent, "report").write(path.name, page.encode())


def _show(value: Any) -> str:
    return "-" if value is None else f"{value:,.2f}" if isinstance(value, float) else str(value)
