"""The page: figures, a table of the runs, and all scripts in one file that opens from the disk without a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from teamnet.errors import ResourceError
from teamnet.spec.check import check_folder
from teamnet.study.report.collect import Found
from teamnet.training.owned_files import OwnedFiles
from teamnet.training.run_files import check_writable, make_folder

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>teamnet report</title>
<style>
:root {{ color-scheme: light dark; --ink: #1c2430; --faint: #5d6773; --line: #d8dde3; --ground: #ffffff; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e8ecf1; --faint: #a3adb8; --line: #39434f; --ground: #14181d; }}
}}
body {{ margin: 0 auto; max-width: 1100px; padding: 1rem; font: 16px/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--ground); }}
h1 {{ font-size: 1.5rem; }} h2 {{ font-size: 1.15rem; margin: 2rem 0 0; overflow-wrap: anywhere; }}
p {{ color: var(--faint); margin: .25rem 0 .5rem; }}
.figure {{ width: 100%; height: 420px; }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }}
th, td {{ border-bottom: 1px solid var(--line); padding: .25rem .6rem; text-align: left; white-space: nowrap; }}
</style>
<script>{plotly}</script>
</head>
<body>
<h1>teamnet report</h1>
<p>{introduction}</p>
{sections}
<h2>Runs</h2>
<div class="scroll">{table}</div>
{unfinished}
{unreadable}
<script>
const dark = window.matchMedia("(prefers-color-scheme: dark)");
function paint() {{
  const ink = dark.matches ? "#e8ecf1" : "#1c2430", line = dark.matches ? "#39434f" : "#d8dde3";
  const narrow = window.innerWidth < 600;
  for (const place of document.querySelectorAll(".figure")) {{
    const made = JSON.parse(document.getElementById(place.id + "-data").textContent);
    const layout = Object.assign({{}}, made.layout, {{
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: {{color: ink, size: narrow ? 11 : 13}},
      margin: {{l: narrow ? 50 : 70, r: 10, t: 28, b: 50}}, hovermode: "closest",
      modebar: {{bgcolor: "rgba(0,0,0,0)", color: line, activecolor: ink}},
      legend: {{orientation: "h", y: -0.2, yanchor: "top"}},
    }});
    for (const name of Object.keys(layout)) {{
      const colours = {{gridcolor: line, zerolinecolor: line}};
      if (/^[xy]axis/.test(name)) layout[name] = Object.assign({{}}, layout[name], colours);
    }}
    const tools = {{responsive: true, displaylogo: false, displayModeBar: narrow ? false : "hover"}};
    Plotly.react(place, made.data, layout, tools);
  }}
}}
dark.addEventListener("change", paint);
paint();
</script>
</body>
</html>
"""
_SECTION = """\
<section><h2>{title}</h2><p>{text}</p><div class="figure" id="figure-{number}"></div>
<script type="application/json" id="figure-{number}-data">{data}</script></section>"""
_COLUMNS = ("task", "rule", "seed", "backend", "grain", "env_steps", "episodes", "mean_return", "env_steps_per_second")


def check_page(path: Path) -> None:
    """Refuse what :func:`write_page` could not do, before any run is read.

    Raises:
        ResourceError: Plotly is not installed.
        SpecError: the path cannot be written to, or is a file that is no page of teamnet's.
    """
    _import_plotly()
    check_folder("out", path)
    check_writable(path.parent)
    OwnedFiles(path.parent, "report").check([path.name])


def _import_plotly() -> Callable[[], str]:
    """What returns Plotly's script."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise ResourceError(
            "report", expected="Plotly", found="it is not installed", mend="Run: pip install 'teamnet[report]'"
        ) from None
    return get_plotlyjs


def write_page(found: Found, path: Path) -> None:
    """Write the page, or replace the one that was there.

    Raises:
        ResourceError, SpecError: as for :func:`check_page`.
    """
    check_page(path)
    from teamnet.study.report.figures import sections

    parts = [
        _SECTION.format(title=escape(title), text=escape(text), number=number, data=_safe(figure.to_json()))
        for number, (title, text, figure) in enumerate(sections(found))
    ]
    introduction = (
        f"{len(found.runs)} finished runs, {len(found.grids)} communication grids and {len(found.scalings)} scaling "
        "experiments."
    )
    page = _PAGE.format(
        plotly=_import_plotly()(), introduction=introduction, sections="\n".join(parts),
        table=_table(found), unfinished=_list("Not finished", found.unfinished),
        unreadable=_list("Could not be read", found.unreadable),
    )
    make_folder(path.parent)
    OwnedFiles(path.parent, "report").write(path.name, page.encode())


def _safe(data: str) -> str:
    """JSON that ends no script element."""
    return data.replace("</", "<\\/")


def _show(value: Any) -> str:
    return "-" if value is None else f"{value:,.2f}" if isinstance(value, float) else str(value)


def _table(found: Found) -> str:
    rows = ["".join(f"<th>{name.replace('_', ' ')}</th>" for name in ("run", *_COLUMNS, "digest"))]
    for run in found.runs:
        cells = [run.name, *(_show(run.summary.get(name, run.spec.get(name))) for name in _COLUMNS)]
        cells.append(str(run.summary.get("digest") or "-")[:8])
        rows.append("".join(f"<td>{escape(cell)}</td>" for cell in cells))
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"


def _list(title: str, entries: Mapping[str, str]) -> str:
    if not entries:
        return ""
    lines = "".join(f"<li>{escape(path)}: {escape(text)}</li>" for path, text in entries.items())
    return f"<h2>{title}</h2><ul>{lines}</ul>"
