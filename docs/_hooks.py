"""MkDocs: show the cross references of docstrings, such as those to a class, as plain code."""

import re
from typing import Any

_ROLE = re.compile(r":(?:class|func|meth|attr|mod|data):<code>~?")


def on_page_content(html: str, **about: Any) -> str:
    """The page without the names of roles."""
    return _ROLE.sub("<code>", html)
