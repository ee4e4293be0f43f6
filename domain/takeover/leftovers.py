"""What the origin stores about a session, and a session here does not tell: kept for the way back."""

import json

from domain.json_text import JsonText, without_strings
from domain.takeover.source_session import SourceSession

ACTIVE = "active"
"""The status of nearly all sessions; the origin does not judge by it."""

METADATA_SIZE_MAX = 16 * 1024
"""Bytes of metadata that a session here can have."""

METADATA_VALUES_MAX = 256
"""Values in the metadata of a session here, at all levels together."""

_UTF8_BYTES_MAX = 4


def is_set_aside(metadata: str) -> bool:
    """Return whether metadata of the origin, as JSON text, cannot be that of a session here."""
    if not metadata.startswith("{") or exceeds(metadata, METADATA_SIZE_MAX):
        return True
    if _marks(metadata) <= METADATA_VALUES_MAX:
        return False
    return _marks(without_strings(metadata.encode()).decode()) > METADATA_VALUES_MAX


def _marks(text: str) -> int:
    """Return the number of values in a JSON object with members, or more if its strings have such characters."""
    return sum(map(text.count, ",[{"))


def leftovers_of(row: SourceSession, *, is_empty: bool) -> JsonText:
    """Return what the origin stores, and the session here does not tell, as a JSON object by column."""
    members: dict[str, str | None] = {
        "status": None if row.status == ACTIVE else json.dumps(row.status),
        "execution_count": str(row.execution_count) if (row.execution_count or 0) < 0 else None,
        "compile_options": row.compile_options,
        **{
            name: None if text is None else json.dumps(text)
            for name, text in (
                ("compile_status", row.compile_status),
                ("compile_error", row.compile_error),
                ("script_hash", row.script_hash),
            )
        },
    }
    if not is_empty:
        absent = [name for name in ("metadata", "script_content") if getattr(row, name) is None]
        members |= {
            "metadata": row.metadata if row.metadata is not None and is_set_aside(row.metadata) else None,
            "script_content": '""' if not row.script_content and row.script_content is not None else None,
            "absent": json.dumps(absent) if absent else None,
        }
    return JsonText("{" + ", ".join(f'"{name}": {text}' for name, text in members.items() if text is not None) + "}")


def exceeds(text: str, size_max: int) -> bool:
    """Return whether the text has more bytes of UTF-8; most texts are too short to count them."""
    return len(text) * _UTF8_BYTES_MAX > size_max and len(text.encode()) > size_max
