"""Judging the facts about the origin: findings, with what each means for a takeover and what to do."""

from collections.abc import Iterator, Mapping

from domain.takeover.plan import Generation, PlanFacts, fence_log_bytes
from domain.takeover.reasons import Flag
from domain.takeover.scripts import MEANINGS
from entrypoints.cli.doctor.report import Finding, Subject
from entrypoints.cli.takeover.judging_database import TARGET, database_findings

GENERATION, SESSIONS, SCRIPTS = Subject("generation"), Subject("sessions"), Subject("scripts")
FUNCTIONS, LOGS, REDIS = Subject("functions"), Subject("logs"), Subject("redis")


def findings(facts: PlanFacts) -> Iterator[Finding]:
    """Yield every finding of the plan, in the order of its report."""
    yield from database_findings(facts)
    yield from _generation(facts)
    yield from _cache(facts)
    yield from _sessions(facts)
    yield from _scripts(facts)
    yield from _beside(facts)


_GENERATIONS: Mapping[Generation, tuple[str, str]] = {
    Generation.G1: (
        "Sessions are read from Redis first, so the fence deletes their keys too, and counts are merged.",
        "Set TAKEOVER_REDIS_URL for the service and each command of the takeover.",
    ),
    Generation.G2: (
        "Each controller answers from its memory, whatever the database says. The front is the only fence.",
        "Let no client pass the front, and restart the controllers after the last adoption.",
    ),
    Generation.G3: ("PostgreSQL alone has the sessions, and its clock judges them.", ""),
}


def _generation(facts: PlanFacts) -> Iterator[Finding]:
    generations = sorted(facts.generations)
    for sentence in facts.evidence.sentences():
        yield GENERATION.ok(sentence)
    if len(generations) == 1:
        why, remedy = _GENERATIONS[generations[0]]
        yield GENERATION.note(f"the origin is of generation {generations[0]}", why, remedy)
        return
    yield GENERATION.warning(
        f"the origin may be of generation {' or '.join(generations)}",
        "What has to be fenced differs: Redis (g1), the memory of the controllers (g2), or the table alone (g3).",
        "Set ORIGIN_URL, so that its /health is asked, and TAKEOVER_REDIS_URL if it uses Redis; or name --generation.",
    )


def _cache(facts: PlanFacts) -> Iterator[Finding]:
    census = facts.cache
    if census is None:
        return
    yield REDIS.ok(f"{census.keys:,} keys of sessions{' in a dump, as of its time' if census.is_dump else ''}")
    if not census.keys:
        yield REDIS.note(
            "there is no key of a session", "Generations 2 and 3 never use it.", "Unset TAKEOVER_REDIS_URL."
        )
    if census.without_row:
        yield REDIS.warning(
            f"{_live(census.without_row)} without a row",
            "The database was made anew while Redis lived. Generation 1 serves them all the same; adopt stores them in "
            "the table first. Generations 2 and 3 do not serve them.",
            "Find out the generation of the origin, and name it with --generation.",
        )
    if census.hidden:
        yield REDIS.warning(
            f"{_live(census.hidden)} in Redis, whose rows a takeover hides",
            "Generation 1 serves them from Redis all the same.",
            "Run adopt of that takeover again: it removes the keys.",
        )
    for difference, number in sorted(census.differing.items()):
        yield REDIS.note(f"keys that differ from their rows, {number:,}: {difference}", difference.words)
    if census.unreadable:
        yield REDIS.note(f"{census.unreadable:,} keys are none of sessions", "The origin cannot read them either.")


def _sessions(facts: PlanFacts) -> Iterator[Finding]:
    counts, census, table = facts.counts, facts.census, facts.schema.sessions
    if counts is None or census is None or table is None:
        return
    if counts.fenced:
        yield SESSIONS.warning(
            f"{counts.fenced:,} sessions are hidden by a takeover",
            "A takeover runs already, or ended without finishing. The origin does not serve them.",
            "If `pglambda takeover status` shows it, continue. Else find out which service has them.",
        )
    for reason, number in sorted(census.live_reasons.items()):
        yield SESSIONS.warning(f"left, {_live(number)}: {reason}", reason.words, "--report lists their ids.")
    for flag, number in sorted(census.flags.items()):
        yield SESSIONS.note(f"taken with a remark, {number:,}: {flag}", flag.words)
    if census.flags[Flag.ID_LOOKS_OWN]:
        yield SESSIONS.warning(
            f"{census.flags[Flag.ID_LOOKS_OWN]:,} ids are UUIDv7",
            "The front takes them for ids of this service, so calls for them are not passed on before their adoption.",
            "Let them expire before the front is put in place.",
        )
    log_bytes = fence_log_bytes(table, census.taken_live)
    yield SESSIONS.note(
        f"the fence of {_live(census.taken_live)} makes about {log_bytes:,} bytes of WAL",
        "It is one UPDATE for each. It touches every index, because expires_at has one.",
    )
    if facts.room_bytes is not None and census.size_bytes > facts.room_bytes:
        yield TARGET.problem(
            f"{census.size_bytes:,} bytes would come, and there is room for {max(facts.room_bytes, 0):,}",
            "The copy would stop before its end.",
            "Raise STORAGE_MAX_GB, or make room on the disk.",
        )


def _live(number: int) -> str:
    return f"{number:,} live session{'' if number == 1 else 's'}"


def _scripts(facts: PlanFacts) -> Iterator[Finding]:
    verdicts = facts.scripts.verdicts
    broken = [verdict for verdict in verdicts if verdict.fault is not None]
    if broken:
        yield SCRIPTS.note(
            f"syntax errors in {len(broken):,} different scripts, of {_live(sum(each.sessions for each in broken))}",
            "They are taken. They fail here as they fail at the origin.",
        )
    unchecked = [verdict for verdict in verdicts if not verdict.checked]
    if unchecked:
        yield SCRIPTS.warning(
            f"{len(unchecked):,} scripts could not be checked",
            "The sandbox of this host did not parse them, so it is not known whether they do.",
            "Run `pglambda doctor`, correct what it reports, and run the command again.",
        )
    by_code: dict[str, list[int]] = {}
    for verdict in verdicts:
        for code in verdict.codes:
            numbers = by_code.setdefault(code, [0, 0])
            numbers[0] += 1
            numbers[1] += verdict.sessions
    for code, (scripts, sessions) in sorted(by_code.items()):
        yield SCRIPTS.note(f"{code}: {scripts:,} different scripts, of {_live(sessions)}", MEANINGS.get(code, ""))
    if facts.scripts.others:
        yield SCRIPTS.note(
            f"the scripts of {facts.scripts.others:,} further sessions were not looked at", "There are too many."
        )


def _beside(facts: PlanFacts) -> Iterator[Finding]:
    rust = [function for function in facts.functions if function.language == "rust"]
    if facts.functions:
        yield FUNCTIONS.note(
            f"{len(facts.functions):,} functions are registered, {len(rust):,} of them in Rust",
            "The origin never runs them. `pglambda takeover functions` registers them here.",
        )
    rows = sum(facts.logs.values())
    if rows:
        yield LOGS.note(f"about {rows:,} rows of logs stay where they are", "Nothing here needs them.")
