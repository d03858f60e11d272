"""``python -m teamnet``: the same as ``teamnet``."""

from __future__ import annotations

from teamnet.cli.main import main

main()
