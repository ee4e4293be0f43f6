"""The connections of scripts: whether they reach a host, and what they trust."""

from collections.abc import Iterator

from domain.host_facts import EgressFacts
from entrypoints.cli.doctor.report import Finding, Subject
from entrypoints.settings.settings import Settings

EGRESS = Subject("egress")


def judge_egress(facts: EgressFacts | None, settings: Settings) -> Iterator[Finding]:
    """Yield whether scripts reach a host of this machine, as far as they may reach any."""
    if facts is None:
        return
    for language, reason in facts.languages.items():
        if reason is not None:
            yield EGRESS.problem(
                f"scripts in {language} do not reach a host: {reason}",
                "Executions of sessions with a network get 503 RUNTIME_UNAVAILABLE, or fail.",
                "Run `pglambda selftest --only egress`. With EGRESS=off no session gets a network.",
            )
    if facts.roots is None:
        yield EGRESS.warning(
            "this host has no certificates of authorities",
            "Scripts trust no host, so their TLS connections fail.",
            "Install the package ca-certificates, or set EGRESS_CA_FILE.",
        )
    if not any(facts.languages.values()):
        of_roots = "" if facts.roots is None else f", and trust {facts.roots}"
        rules = ", ".join(settings.egress_rules) or "none for every owner"
        yield EGRESS.ok(
            f"scripts in {', '.join(facts.languages)} reach hosts (EGRESS={settings.egress}: {rules}){of_roots}"
        )
