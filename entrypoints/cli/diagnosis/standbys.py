"""What becomes of acknowledged sessions when the server is lost."""

from domain.inspection import ReplicationFacts, ServerFacts
from entrypoints.cli.diagnosis.finding import Finding, note, ok, warning

SUBJECT = "replication"
_SYNCHRONOUS = frozenset({"sync", "quorum"})


def judge_replication(facts: ReplicationFacts, server: ServerFacts) -> list[Finding]:
    """Return what is to be said of the standbys."""
    modes = [standby.mode for standby in facts.standbys]
    names = ", ".join(standby.name or "unnamed" for standby in facts.standbys)
    if not modes:
        return [_no_standby(server)]
    if None in modes:
        return [
            note(
                SUBJECT,
                f"there are standbys ({names}), and this role may not see whether they are synchronous",
                remedy=f"GRANT pg_monitor TO {server.role}",
            )
        ]
    if _SYNCHRONOUS.isdisjoint(modes):
        return [_asynchronous(names)]
    if server.synchronous_commit in {"off", "local"}:
        return [_not_awaited(server)]
    return [ok(SUBJECT, f"a synchronous standby has every acknowledged write ({names})")]


def _no_standby(server: ServerFacts) -> Finding:
    if server.waits_for_standbys:
        return warning(
            SUBJECT,
            "the server waits for synchronous standbys, and there is none",
            "Every write waits for ever: calls answer 503 at their time limit, and the server's ends of their "
            "connections, which wait on, take its places until reads fail too.",
            "Bring a standby back, or empty synchronous_standby_names.",
        )
    return note(
        SUBJECT, "no standby: what is stored is on one disk", remedy="Take backups, or add a synchronous standby."
    )


def _asynchronous(names: str) -> Finding:
    return warning(
        SUBJECT,
        f"every standby is asynchronous ({names})",
        "A failover may lose sessions that were acknowledged, and run a call with an Idempotency-Key twice.",
        "Name one in synchronous_standby_names.",
    )


def _not_awaited(server: ServerFacts) -> Finding:
    return warning(
        SUBJECT,
        f"synchronous_commit is {server.synchronous_commit}: no write waits for the standby",
        "A failover may lose sessions that were acknowledged, and run a call with an Idempotency-Key twice.",
        f"ALTER ROLE {server.role} RESET synchronous_commit (or set it to on).",
    )
