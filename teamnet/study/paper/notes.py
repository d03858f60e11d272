"""The fixed paragraphs of the report, from ``notes.md``, each with the runs that must be there for it to be shown.

A section of the file is headed ``## TASK``, ``## TASK: METHOD, METHOD`` or either with `` (full length)`` at the end.
The task ``all`` stands for the paragraphs below the table of averages. Sections state facts about tasks and settings,
which hold whatever the runs show; what runs show is computed from them.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from importlib.resources import files

ALL = "all"
_HEAD = re.compile(r"(?P<task>[a-z-]+)(: (?P<methods>[a-z0-9, -]+?))?(?P<full> \(full length\))?")


@dataclass(frozen=True)
class Note:
    """Some paragraphs of the report.

    Args:
        task: that they are about, or ``all``.
        methods: that they name; all of them must have runs.
        full_length: whether they are about the paper's number of episodes, so that shortened runs do not show them.
        text: in Markdown.
    """

    task: str
    methods: tuple[str, ...]
    full_length: bool
    text: str


def read_notes() -> list[Note]:
    """All sections of ``notes.md``, in order."""
    sections = (files("teamnet.study.paper") / "notes.md").read_text(encoding="utf-8").split("\n## ")[1:]
    return [_read(*section.split("\n", 1)) for section in sections]


def _read(head: str, text: str) -> Note:
    found = _HEAD.fullmatch(head.strip())
    assert found, f"notes.md: {head}"
    methods = tuple(found["methods"].split(", ")) if found["methods"] else ()
    return Note(found["task"], methods, bool(found["full"]), text.strip())


def notes_on(task: str, methods: Collection[str], *, shortened: bool) -> str:
    """The paragraphs on a task, or on all of them, that its runs allow; empty if there are none.

    Args:
        task: by name, or ``all``.
        methods: that have runs on it.
        shortened: whether these runs have fewer episodes than the paper's.
    """
    return "\n\n".join(
        note.text for note in read_notes()
        if note.task == task and set(note.methods) <= set(methods) and not (note.full_length and shortened)
    )
