"""Text from templates: the fixed text of reports, with conditions and values."""

from __future__ import annotations

import textwrap
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

_COLUMNS = 120


def render(name: str, **values: Any) -> str:
    """A template with its values; in one whose name ends with ``.html.j2``, values are escaped.

    The filter ``fill`` breaks a paragraph into lines of 120 columns.

    Args:
        name: the template's path below :mod:`teamnet.study`.
        values: by the names that the template uses.
    """
    environment = Environment(
        loader=PackageLoader("teamnet", "study"), undefined=StrictUndefined, autoescape=name.endswith(".html.j2"),
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )
    environment.filters["fill"] = lambda text: textwrap.fill(" ".join(text.split()), _COLUMNS, break_on_hyphens=False)
    return environment.get_template(name).render(values)
