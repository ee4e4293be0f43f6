"""What keeps the service from its database."""

from domain.inspection import ConnectionFacts, DatabaseUnreachable, Obstacle
from entrypoints.cli.diagnosis.finding import Finding, note, ok, problem, warning
from entrypoints.settings.settings import Settings

SUBJECT = "database"
_WHY = "Without its database the service answers every call with 503 STORAGE_UNAVAILABLE."
_NOT_STARTED = "With such an address the service does not start."
_REMEDIES = {
    Obstacle.ADDRESS: "Correct DATABASE_URL: postgresql://user:password@host:5432/database.",
    Obstacle.NAME: "Correct the host in DATABASE_URL, or the name service of this machine.",
    Obstacle.NETWORK: (
        "Start the server; let it listen there (listen_addresses, port); let firewalls and security groups pass this "
        "machine; or correct host and port in DATABASE_URL."
    ),
    Obstacle.SILENCE: (
        "Something took the connection and said nothing: look whether it is PostgreSQL at all, whether the server is "
        "frozen or out of disk, and what is on the way (a load balancer without a server behind it)."
    ),
    Obstacle.TLS: (
        "Set sslmode in DATABASE_URL to what the server offers (require, or verify-full with sslrootcert), or give the "
        "server a certificate that these settings accept."
    ),
    Obstacle.LOGIN: (
        "Correct user and password in DATABASE_URL (or the file of DATABASE_URL_FILE), make the role, or let pg_hba.conf "
        "of the server take it from this machine."
    ),
    Obstacle.DATABASE: "Make the database (createdb ... with ENCODING 'UTF8'), or correct its name in DATABASE_URL.",
    Obstacle.FULL: "Raise max_connections of the server or the role, or lower DB_POOL_MAX and WEB_CONCURRENCY of its services.",
    Obstacle.OPTIONS: (
        "A pooler is between, which takes no start-up options: set DB_SERVER_TIMEOUTS=false, and the limits on the role."
    ),
    Obstacle.STARTING: "Wait until the server has started; if it does not, read its log.",
    Obstacle.REFUSED: "Read the server's own words, and its log.",
}


def judge_unreached(failure: DatabaseUnreachable) -> Finding:
    """Return that there is no connection, and what to do."""
    why = _NOT_STARTED if failure.obstacle is Obstacle.ADDRESS else _WHY
    return problem(SUBJECT, f"no connection ({failure.obstacle}): {failure}", why, _REMEDIES[failure.obstacle])


def judge_connection(facts: ConnectionFacts, settings: Settings) -> list[Finding]:
    """Return what is to be said of a connection that was made."""
    way = "encrypted" if facts.is_encrypted else "not encrypted"
    found = [ok(SUBJECT, f"connected to {facts.host}, {way}")]
    if not (facts.is_encrypted or facts.is_local):
        found.append(
            warning(
                SUBJECT,
                f"the connection to {facts.host} is not encrypted",
                "Scripts, contexts, results and perhaps the password can be read on the way.",
                "Add sslmode=verify-full (and sslrootcert) to DATABASE_URL.",
            )
        )
    if facts.is_pooled:
        found.append(_judge_pooler(facts, settings))
    return found


def _judge_pooler(facts: ConnectionFacts, settings: Settings) -> Finding:
    seen = "a pooler is between the service and PostgreSQL"
    if not settings.db_prepare:
        return note(SUBJECT, f"{seen}; nothing is prepared (DB_PREPARE=false)")
    if facts.keeps_prepared:
        return ok(SUBJECT, f"{seen}, and keeps prepared statements")
    return warning(
        SUBJECT,
        f"{seen}, and was not seen to keep prepared statements, which DB_PREPARE wants",
        "In transaction mode a statement that one server's connection has prepared is not there on the next.",
        "Set max_prepared_statements above 0 in PgBouncer (1.22 or newer), or DB_PREPARE=false here. With session "
        "pooling this needs nothing.",
    )
