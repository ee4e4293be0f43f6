"""A session of the origin: a row, and the JSON that Redis has of it."""

import hashlib
from typing import Any
from uuid import uuid4

from attrs import asdict, define, evolve
from psycopg.types.json import Jsonb

from tests.origin import instants
from tests.origin.json_values import dumps, parse

_STATUSES = frozenset({"active", "expired", "completed", "error"})
_INSTANTS = ("created_at", "expires_at", "last_executed_at")


class OriginError(Exception):
    """What an answer tells after its own prefix."""


@define
class Session:
    """A row of meta.sessions; instants in nanoseconds."""

    request_id: str
    language_title: str
    user_id: str | None
    created_at: int
    expires_at: int
    last_executed_at: int | None
    execution_count: int
    status: str
    context: Any
    script_content: str | None
    script_hash: str | None
    compiled_artifact: bytes | None
    compile_options: Any
    compile_status: str | None
    compile_error: str | None
    metadata: Any

    @classmethod
    def new(
        cls, title: str, user: str | None, context: Any, script: str | None, options: Any, *, life_s: int
    ) -> "Session":
        now = instants.now()
        digest = None if script is None else hashlib.sha256(script.encode()).hexdigest()
        until, pending = now + life_s * instants.SECOND, None if script is None else "pending"
        facts = (
            title,
            user,
            now,
            until,
            None,
            0,
            "active",
            context,
            script,
            digest,
            None,
            options,
            pending,
            None,
            None,
        )
        return cls(str(uuid4()), *facts)

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> "Session":
        read = {name: instants.of_row(row[name]) for name in _INSTANTS}
        read |= {name: None if row[name] is None else parse(row[name]) for name in ("compile_options", "metadata")}
        status = row["status"] if row["status"] in _STATUSES else "error"
        return cls(**row | read | {"status": status, "context": parse(row["context"])})

    @classmethod
    def of_json(cls, text: bytes) -> "Session":
        members = parse(text)
        artifact = members["compiled_artifact"]
        read = {name: instants.of_text(members[name]) for name in _INSTANTS}
        return cls(**members | read | {"compiled_artifact": None if artifact is None else bytes(artifact)})

    def json(self) -> str:
        """Return what Redis has: the members in the order of the columns, bytes as numbers."""
        artifact = None if self.compiled_artifact is None else list(self.compiled_artifact)
        written = {name: instants.text(getattr(self, name), "Z") for name in _INSTANTS}
        return dumps(asdict(self) | written | {"compiled_artifact": artifact})

    def row(self) -> dict[str, Any]:
        """Return the parameters of statements; JSON null in `context` stays JSON, other missing values are NULL."""
        written = {name: instants.to_row(getattr(self, name)) for name in _INSTANTS}
        options = {name: _json(getattr(self, name)) for name in ("compile_options", "metadata")}
        return asdict(self) | written | options | {"context": Jsonb(self.context, dumps)}

    @property
    def is_expired(self) -> bool:
        return self.expires_at < instants.now()

    def executed(self) -> "Session":
        """Return it after one more execution: the count is the one that was read, plus one."""
        return evolve(self, last_executed_at=instants.now(), execution_count=self.execution_count + 1)


def _json(value: Any) -> Jsonb | None:
    return None if value is None else Jsonb(value, dumps)
