"""Text from templates: the fixed text of reports, with conditions and values."""

from __future__ import annotations

import textwrap
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

_COLUMNS = 120


def render(name: str, **values: Any) -> str:
    """A template with its values; in one whose name ends with ``.html.j2``, values are escaped.

    The filter ``fill`` breaks a paragraph into lines of 120 columns.

    Args:
        name: the template's path below :mod:`teamnet.study`.
        values: by the names that the template uses.
    """
    environment = Environment(
        undefined=StrictUndefined, autoescape=name.endswith(".html.j2"), trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["fill"] = lambda text: textwrap.fill(" ".join(text.split()), _COLUMNS, break_on_hyphens=False)
    text = (files("teamnet.study") / name).read_text(encoding="utf-8")
    return environment.from_string(text).render(values)
