"""Facts about runtime hosts for an operator."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.remote_runtime.script_runner import HttpScriptRunner
from domain.host_facts import RuntimeHostFacts


async def inspect_runtime_hosts(runner: HttpScriptRunner) -> Sequence[RuntimeHostFacts]:
    """Open the runner, read the health of each of its hosts, and close it."""
    await runner.open()
    try:
        health: Mapping[str, Any] = await runner.health()
    finally:
        await runner.close()
    return _host_facts(health["languages"])


def _host_facts(languages: Mapping[str, Any]) -> Sequence[RuntimeHostFacts]:
    by_url: dict[str, tuple[Mapping[str, Any], list[str]]] = {}
    for language, state in languages.items():
        for host in state["hosts"]:
            by_url.setdefault(host["url"], (host, []))[1].append(language)
    return [
        RuntimeHostFacts(
            url=url,
            status=str(host["status"]),
            languages=served,
            reason=str(host.get("reason") or ""),
            version=str(host.get("version") or ""),
        )
        for url, (host, served) in by_url.items()
    ]
