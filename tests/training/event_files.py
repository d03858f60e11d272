"""TensorBoard's files, read back record by record."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from tensorboardX.proto import event_pb2


def events_in(path: Path) -> list[Any]:
    """TensorBoard's messages in a file of records: their length, its checksum, themselves, their checksum."""
    content, found = path.read_bytes(), []
    while content:
        (size,) = struct.unpack("<Q", content[:8])
        found.append(event_pb2.Event.FromString(content[12 : 12 + size]))
        content = content[16 + size :]
    return found
