"""What a failure of the origin's database means, in words for an operator."""

from collections.abc import Mapping

import psycopg

from domain.takeover.source import SourceFailure, SourceRefused, SourceUnavailable

_SCHEMA_REMEDY = (
    "Name the right one with --schema. `pglambda takeover plan` lists the schemas that have its tables, and prints the "
    "GRANT."
)
_CONNECTION_REMEDY = "Correct --source or TAKEOVER_SOURCE_URL, or let pg_hba.conf accept this role from this machine."
_LOGIN = frozenset({"28000", "28P01", "3D000"})
_PRIVILEGE = "42501"
_MISSING_SCHEMA = frozenset({"42P01", "42703", "3F000"})
_ENCODING = frozenset({"22021", "22P05"})
_READ_ONLY = frozenset({"25001", "25006", "0A000"})
_DISK = "53100"

_UNAVAILABLE: Mapping[str, str] = {
    "55P03": "another transaction holds a lock on these rows.",
    "57014": "a statement took longer than its limit.",
    _DISK: "its disk is full.",
    "57P01": "it is being stopped.",
    "57P03": "it is starting or stopping.",
}


def connection_failure(error: psycopg.Error) -> SourceFailure:
    """Return the error for a connection that could not be made."""
    text = one_line(error)
    if error.sqlstate in _LOGIN or "does not exist" in text or "authentication" in text or "pg_hba" in text:
        return SourceRefused(f"The database of the origin refuses the connection: {text}.", remedy=_CONNECTION_REMEDY)
    return SourceUnavailable(f"there is no connection ({text}).", sent=False)


def statement_failure(error: psycopg.Error, schema: str) -> SourceFailure:
    """Return the error for a statement or commit that failed."""
    state, text = error.sqlstate or "", one_line(error)
    if state == _PRIVILEGE:
        return SourceRefused(
            f"The role lacks a right in the database of the origin: {text}.",
            remedy="`pglambda takeover plan` prints the GRANT for each stage. Let the owner of the tables run it.",
        )
    if state in _MISSING_SCHEMA:
        return SourceRefused(
            f"The schema {schema!r} is not one of lambda-microservice, or the role lacks USAGE on it: {text}.",
            remedy=_SCHEMA_REMEDY,
        )
    if state in _ENCODING:
        return SourceRefused(
            f"A text in the database of the origin is not valid: {text}.", remedy="Correct the row, or delete it."
        )
    if state in _READ_ONLY:
        return SourceRefused(
            "The database of the origin accepts no writes, because it is a standby or read-only.",
            remedy="Name the primary with --source. Only plan, copy, verify and rehearse can use a standby.",
        )
    return SourceUnavailable(_UNAVAILABLE.get(state, f"{text}."))


def one_line(error: psycopg.Error) -> str:
    """Return the error's text in one line, without its last full stop."""
    return " ".join(str(error).split()).rstrip(".")
