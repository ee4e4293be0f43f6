"""This machine: who may call, disk and files, the sandbox, and the origin."""

import shutil
from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from domain.access.api_key import EXPIRY_NOTICE, UNUSED_AFTER
from domain.host_facts import LanguageFacts, OriginFacts, SandboxFacts, SyntaxFacts
from domain.storage.storage import Part
from domain.stored_facts import AccessFacts
from entrypoints.cli.doctor.report import Finding, Subject
from entrypoints.server.descriptors import attainable, descriptors_needed
from entrypoints.settings.settings import Settings
from entrypoints.settings.urls import is_loopback

ACCESS, DISK, PROCESS = Subject("access"), Subject("disk"), Subject("process")
SANDBOX, ORIGIN = Subject("sandbox"), Subject("origin")
COUNT_MAX = 10_000
"""Sessions are counted up to this number."""

_MIB, _GIB = 1024**2, 1024**3
_FREE_MIN = 256 * _MIB
_FREE_LOW = 2 * _GIB
_FREE_SHARE_LOW = 0.05
_BUDGET_SHARE_HIGH = 0.9
_FORMER = ("postgres.old-*", "scratch/postgres")
UNAVAILABLE = "Initialize and execute get 503 RUNTIME_UNAVAILABLE for it."


def judge_address(settings: Settings) -> Iterator[Finding]:
    """Yield who may call the service, and read its metrics."""
    where = f"{settings.host} port {settings.port}"
    if settings.origin_port is not None:
        where += f" and (clients of lambda-microservice) {settings.origin_port}"
    if settings.authenticated:
        yield ACCESS.ok(f"callers at {where} need a token or an API key")
    elif is_loopback(settings.host):
        remedy = "Set JWT_SECRET (or AUTH=required, with API keys) before other machines can reach it."
        yield ACCESS.note(f"every process on this machine may call, at {where}", remedy=remedy)
    else:
        yield ACCESS.warning(
            f"everyone who can reach {where} may call",
            "They run code in this host's sandbox, and see every session.",
            "Set JWT_SECRET, JWT_PUBLIC_KEY or JWT_JWKS_URL, or AUTH=required with API keys.",
        )
    if settings.metrics_port is not None and not is_loopback(settings.host):
        seen = f"everyone who can reach {settings.host} port {settings.metrics_port} may read the metrics"
        yield ACCESS.note(seen, remedy="Let only the collector reach that port.")


def judge_access(facts: AccessFacts | None, settings: Settings) -> Iterator[Finding]:
    """Yield what keeps callers from their sessions, if they have to authenticate."""
    if facts is None or not settings.authenticated:
        return
    if not (facts.api_keys or settings.verifies_tokens):
        yield ACCESS.problem(
            "authentication is required, and there is neither an API key nor a key that verifies tokens",
            "Nobody can call.",
            "pglambda keys create --owner OWNER --scope execute:all",
        )
    if facts.keys_expiring:
        yield ACCESS.warning(
            f"{facts.keys_expiring:,} API keys end within {EXPIRY_NOTICE.days} days",
            "Their holders get 401 from then on.",
            f"`pglambda keys list --expires-within {EXPIRY_NOTICE.days}d` shows them. Create new ones in time.",
        )
    if facts.keys_unused:
        yield ACCESS.note(
            f"{facts.keys_unused:,} API keys have not been used for {UNUSED_AFTER.days} days",
            "A key that nobody needs can only leak.",
            f"`pglambda keys list --unused-for {UNUSED_AFTER.days}d` shows them. `pglambda keys revoke` revokes one.",
        )
    if facts.anonymous_sessions:
        more = "more than " if facts.anonymous_sessions > COUNT_MAX else ""
        yield ACCESS.warning(
            f"{more}{min(facts.anonymous_sessions, COUNT_MAX):,} sessions belong to `anonymous`",
            "They were made without authentication, and no caller who authenticates can reach them.",
            "pglambda owners move anonymous OWNER",
        )


@frozen
class HostFacts:
    """The folder of the service, the disk that it is on (bytes), and how many files a process may open.

    `kept` are the data folders that `pglambda upgrade-database` has kept. `former` are those that restores have
    replaced, and copies that a killed check has left.
    """

    data_dir: str
    disk_free_bytes: int
    disk_size_bytes: int
    descriptors_max: int | None
    kept: Sequence[str] = ()
    former: Sequence[str] = ()


async def host_facts(settings: Settings) -> HostFacts:
    """Return the facts about this machine; raises OSError if the disk cannot be read."""
    folder = next(path for path in (settings.data_dir, *settings.data_dir.parents) if path.exists())
    disk = shutil.disk_usage(folder)
    descriptors_max = attainable(_descriptors_needed(settings))
    kept = sorted(str(path.parent) for path in folder.glob("postgres-[0-9]*/PG_VERSION"))
    former = sorted(str(path) for pattern in _FORMER for path in folder.glob(pattern))
    return HostFacts(str(settings.data_dir), disk.free, disk.total, descriptors_max, kept, former)


def _descriptors_needed(settings: Settings) -> int:
    return descriptors_needed(settings.max_connections + settings.origin_connections, settings.max_warm_workers)


def judge_host(facts: HostFacts, settings: Settings) -> Iterator[Finding]:
    """Yield the findings about the disk of DATA_DIR, and about the limits of a process."""
    yield _judge_disk(facts, settings)
    if facts.kept:
        yield DISK.note(
            f"data folders of another PostgreSQL are kept: {', '.join(facts.kept)}",
            "They are the way back from an upgrade, and take space.",
            "pglambda upgrade-database --finish",
        )
    if facts.former:
        yield DISK.note(
            f"there are copies of the database beside it: {', '.join(facts.former)}",
            "A restore has replaced them, or a check of a backup runs or was killed. They take space.",
            "Remove those that you do not need. The next check removes what is left in scratch.",
        )
    needed, granted = _descriptors_needed(settings), facts.descriptors_max
    if granted is None or granted >= needed:
        yield PROCESS.ok(f"a process may open {granted or 'any number of'} files")
    else:
        yield PROCESS.note(
            f"a process may open {granted} files here; MAX_CONNECTIONS ({settings.max_connections}) and "
            "MAX_WARM_WORKERS"
            f" ({settings.max_warm_workers}) need {needed}",
            "An HTTP worker holds fewer connections than that, and the sandbox fewer warm workers.",
            f"Raise the hard limit to {needed} (LimitNOFILE in systemd, ulimit -Hn), or lower these settings.",
        )


def _judge_disk(facts: HostFacts, settings: Settings) -> Finding:
    content = "the database" if settings.embedded else "copies of interpreters"
    sizes = f"{_size(facts.disk_free_bytes)} of {_size(facts.disk_size_bytes)}"
    seen = f"{sizes} are free for {facts.data_dir} ({content})"
    why = "On a full disk every write fails." if settings.embedded else "Interpreters cannot be copied there."
    remedy = (
        "Free some space, or set DATA_DIR to another disk. `pglambda storage` shows what is stored, and its growth."
    )
    is_low = facts.disk_free_bytes < max(_FREE_LOW, facts.disk_size_bytes * _FREE_SHARE_LOW)
    if facts.disk_free_bytes < _FREE_MIN:
        return DISK.problem(seen, why, remedy)
    return DISK.warning(seen, why, remedy) if settings.embedded and is_low else DISK.ok(seen)


def judge_stored(sizes: Mapping[Part, int], settings: Settings) -> Iterator[Finding]:
    """Yield how much of the room of files, and of the storage budget, is used."""
    yield _judge_files(sizes.get(Part.FILES, 0), settings)
    size_bytes = sum(sizes.values())
    stored = f"{_size(size_bytes)} are stored"
    if settings.storage_max_gb is None:
        yield DISK.note(f"{stored}; STORAGE_MAX_GB is not set, so the history is not shortened for its size")
        return
    share = size_bytes / (settings.storage_max_gb * _GIB)
    seen = f"{stored}, {share:.0%} of STORAGE_MAX_GB"
    if share <= _BUDGET_SHARE_HIGH:
        yield DISK.ok(seen)
    else:
        yield DISK.warning(
            seen,
            "Above the limit, the oldest days of the history are removed before their retention ends.",
            "Raise STORAGE_MAX_GB, lower HISTORY_RETENTION_DAYS, or set HISTORY=summary.",
        )


def _judge_files(size_bytes: int, settings: Settings) -> Finding:
    share = size_bytes / (settings.max_files_gb * _GIB)
    seen = f"files take {_size(size_bytes)}, {share:.0%} of MAX_FILES_GB"
    if share < _BUDGET_SHARE_HIGH:
        return DISK.ok(seen)
    return DISK.warning(
        seen, "Beyond it uploads get 507 STORAGE_FULL.", "Raise MAX_FILES_GB, or lower FILE_RETENTION_SECONDS."
    )


def _size(size_bytes: float) -> str:
    return f"{size_bytes / _GIB:,.1f} GiB" if size_bytes >= _GIB else f"{size_bytes / _MIB:,.1f} MiB"


def judge_sandbox(facts: SandboxFacts | None) -> Iterator[Finding]:
    """Yield the findings about this host's sandbox, if it has one."""
    if facts is None:
        yield SANDBOX.ok("every language runs on runtime hosts")
        return
    yield from map(_judge_language, facts.languages)
    yield from map(_judge_syntax, facts.syntaxes)
    runs = any(language.failure is None for language in facts.languages)
    active = [layer.name for layer in facts.layers if layer.is_active]
    if active:
        yield SANDBOX.ok(f"active layers: {', '.join(active)}")
    for layer in facts.layers:
        if layer.is_required and not layer.is_active:
            if layer.reason or runs:  # else no worker has started, and the findings about languages say why
                remedy = layer.reason or "Run `pglambda selftest`, and report what it prints."
                yield SANDBOX.problem(f"without {layer.name}", "No script runs without it.", remedy)
        elif not layer.is_active:
            yield SANDBOX.note(f"without {layer.name}: {layer.reason}")
    yield _judge_user(facts)


def _judge_language(facts: LanguageFacts) -> Finding:
    if facts.failure is not None:
        return SANDBOX.problem(
            f"{facts.language} cannot run: {facts.failure}",
            UNAVAILABLE,
            "Correct what the reason names. `pglambda selftest` then starts workers as the service does.",
        )
    start = f"; its workers are no forks: {facts.why_executed}" if facts.why_executed else ""
    return SANDBOX.ok(f"{facts.language} {facts.version} runs ({facts.program}){start}")


def _judge_syntax(facts: SyntaxFacts) -> Finding:
    if facts.failure is None:
        return SANDBOX.ok(f"scripts of {facts.language} can be {facts.name}")
    return SANDBOX.warning(
        f"scripts of {facts.language} cannot be {facts.name}: {facts.failure}",
        "Such scripts are refused; others run.",
        "Use the packaged Node.js, or set NODEJS_PATH to a newer one.",
    )


def _judge_user(facts: SandboxFacts) -> Finding:
    if facts.uid is None:
        return SANDBOX.note(
            "workers have the user id of the service, which runs as a normal user",
            "A script that escapes its sandbox could read what the service can read.",
            "Run the service as root: PostgreSQL and workers then get unprivileged users of their own.",
        )
    if facts.account:
        return SANDBOX.warning(
            f"workers run under user id {facts.uid}, which belongs to {facts.account}",
            f"A script that escapes its sandbox could read what {facts.account} can read.",
            "Set SANDBOX_UID to a number that no account has, or leave it out.",
        )
    return SANDBOX.ok(f"workers run under user id {facts.uid}, which no account has")


def judge_origin(facts: OriginFacts | None) -> Iterator[Finding]:
    """Yield whether the origin responds; nothing without ORIGIN_URL."""
    if facts is None:
        return
    if facts.reason is None:
        yield ORIGIN.ok(f"{facts.url} responds")
        return
    yield ORIGIN.problem(
        f"{facts.url} does not respond as it should: {facts.reason}",
        "Calls that are passed on to it are 503.",
        "Start it, let this machine reach it, or correct ORIGIN_URL. Unset ORIGIN_URL once the takeover is finished.",
    )
