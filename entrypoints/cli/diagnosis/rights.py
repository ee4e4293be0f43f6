"""What the role may do with the schema."""

from collections.abc import Iterable, Sequence

from domain.inspection import MissingRight
from entrypoints.cli.diagnosis.finding import Finding, ok, problem

SUBJECT = "rights"
_NAMED_MAX = 3


def judge_rights(missing: Sequence[MissingRight], role: str) -> list[Finding]:
    """Return what is to be said of the role's rights."""
    if not missing:
        return [ok(SUBJECT, f"the role {role} may do what the service does")]
    rights, places = _unique(each.right for each in missing), _unique(each.on for each in missing)
    return [
        problem(
            SUBJECT,
            f"the role {role} lacks {', '.join(rights)}{_where(missing)}",
            "Calls that need it end in an error, and migrations are refused.",
            "; ".join(_grant(missing, place, role) for place in places)
            + " (as the owner), or name the owner's role in DATABASE_URL.",
        )
    ]


def _where(missing: Sequence[MissingRight]) -> str:
    tables = _unique(each.table for each in missing if each.table)
    if not tables:
        return f" on {missing[0].on}"
    named = ", ".join(f"meta.{table}" for table in tables[:_NAMED_MAX])
    return f" on {named}" + (f" and {len(tables) - _NAMED_MAX} more" if len(tables) > _NAMED_MAX else "")


def _grant(missing: Sequence[MissingRight], place: str, role: str) -> str:
    rights = _unique(each.right for each in missing if each.on == place)
    return f"GRANT {', '.join(rights)} ON {place} TO {role}"


def _unique(names: Iterable[str]) -> list[str]:
    """Return each once, in the order of its first."""
    return list(dict.fromkeys(names))
