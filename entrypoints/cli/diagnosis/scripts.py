"""Where scripts run: the sandbox of this host, and runtime hosts."""

from collections.abc import Iterator, Sequence

from domain.inspection import LanguageFacts, RuntimeHostFacts, SandboxFacts
from entrypoints.cli.diagnosis.finding import Finding, note, ok, problem, warning
from entrypoints.version import VERSION

SANDBOX, HOSTS = "sandbox", "runtime hosts"
_WHY = "Initialize and execute answer 503 RUNTIME_UNAVAILABLE for it."
_TOKEN_SIGNS = ("401", "403")


def judge_sandbox(facts: SandboxFacts) -> list[Finding]:
    """Return what is to be said of this host's sandbox."""
    return [*map(_language, facts.languages), *_layers(facts), *_user(facts)]


def _language(facts: LanguageFacts) -> Finding:
    if facts.failure is not None:
        return problem(SANDBOX, f"{facts.language} cannot run: {facts.failure}", _WHY, "Do as the reason says.")
    return ok(SANDBOX, f"{facts.language} {facts.version} runs ({facts.program})")


def _layers(facts: SandboxFacts) -> Iterator[Finding]:
    there = [layer.name for layer in facts.layers if layer.is_active]
    if there:
        yield ok(SANDBOX, f"layers in force: {', '.join(there)}")
    for layer in facts.layers:
        if layer.is_active:
            continue
        if layer.is_required:
            yield problem(
                SANDBOX,
                f"without {layer.name}",
                "No script runs without it.",
                layer.reason or "See what keeps the languages from running.",
            )
        else:
            yield note(SANDBOX, f"without {layer.name}: {layer.reason}")


def _user(facts: SandboxFacts) -> Iterator[Finding]:
    if facts.uid is None:
        yield note(
            SANDBOX,
            "workers share the user id of the service, which runs as a normal user",
            "Should a script get out of its sandbox, it could read what the service can.",
            "Run the service as root: PostgreSQL and workers then get unprivileged users of their own.",
        )
    elif facts.account:
        yield warning(
            SANDBOX,
            f"workers run under user id {facts.uid}, which is that of {facts.account}",
            f"Should a script get out of its sandbox, it could read what {facts.account} can.",
            "Set SANDBOX_UID to a number that no account has, or leave it out.",
        )
    else:
        yield ok(SANDBOX, f"workers run under user id {facts.uid}, which is nobody else's")


def judge_runtime_hosts(hosts: Sequence[RuntimeHostFacts]) -> list[Finding]:
    """Return what is to be said of each runtime host."""
    return [_runtime_host(host, alone=_is_alone(host, hosts)) for host in hosts]


def _is_alone(host: RuntimeHostFacts, hosts: Sequence[RuntimeHostFacts]) -> bool:
    """Tell whether a language of this host has no other host that is well."""
    well = {language for other in hosts if other.status == "ok" for language in other.languages}
    return not set(host.languages) <= well


def _runtime_host(host: RuntimeHostFacts, *, alone: bool) -> Finding:
    served = ", ".join(host.languages)
    if host.status == "ok":
        version = f", release {host.version}" if host.version else ""
        if host.version and host.version != VERSION:
            return note(
                HOSTS,
                f"{host.url} ({served}) is of release {host.version}, this one of {VERSION}",
                remedy="Upgrade it.",
            )
        return ok(HOSTS, f"{host.url} ({served}) is well{version}")
    seen = f"{host.url} ({served}) is {host.status}: {host.reason or 'it does not say why'}"
    remedy = (
        "Give this service and the host the same RUNTIME_TOKEN."
        if any(sign in host.reason for sign in _TOKEN_SIGNS)
        else "Start the host (`pglambda runtime-host`), let this machine reach it, or correct the runtime URL."
    )
    if alone:
        return problem(HOSTS, seen, f"No other host runs {served}: {_WHY}", remedy)
    return warning(HOSTS, seen, "The other hosts carry its load.", remedy)
