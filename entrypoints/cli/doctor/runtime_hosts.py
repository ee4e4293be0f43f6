"""Runtime hosts: those that settings name, and those that have registered themselves."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from urllib.parse import urlsplit

from domain.host_facts import CertificateFacts, RuntimeHostFacts
from domain.hosts.host import HostState, RegisteredHost
from domain.hosts.networks import HostNetworks
from domain.scripts.language import Language
from entrypoints.cli.doctor.host import UNAVAILABLE
from entrypoints.cli.doctor.report import Finding, Subject
from entrypoints.settings.runtime_hosts import host_networks
from entrypoints.settings.settings import Settings
from entrypoints.version import VERSION

RUNTIME_HOSTS = Subject("runtime hosts")
CERTIFICATE_DAYS_MIN = 14
_TOKEN_SIGNS = ("401", "403")
_CERTIFICATE_REMEDIES = {
    "expired": "Renew the certificate, and restart the host: it reads RUNTIME_TLS_CERT_FILE at its start only.",
    "mismatch": "Name the host in the runtime URL, or in its RUNTIME_HOST_URL, as its certificate does. "
    "Or renew the certificate with that name.",
    "": "Set RUNTIME_CA_FILE to the certificate of the authority that has signed that of the host.",
}
"""By what the reason of OpenSSL contains; the last one is for all others."""


def judge_registered(hosts: Sequence[RegisteredHost], now: datetime, settings: Settings) -> Iterator[Finding]:
    """Yield which registered hosts this controller uses, and what keeps it from the others."""
    networks = host_networks(settings)
    if not networks.networks:
        live = [host for host in hosts if host.is_live(now)]
        if live:
            seen = f"{len(live):,} hosts are registered, and a controller with these settings uses none of them"
            yield RUNTIME_HOSTS.note(seen, remedy="Set RUNTIME_HOST_NETWORKS as at the other controllers.")
        return
    used = used_hosts(hosts, now, settings)
    yield from _without_hosts(used, now, settings)
    yield from _left_alone(hosts, now, networks)
    yield from _described(used)


def used_hosts(hosts: Sequence[RegisteredHost], now: datetime, settings: Settings) -> Sequence[RegisteredHost]:
    """Return the registered hosts that this controller uses."""
    networks = host_networks(settings)
    return [host for host in hosts if host.is_live(now) and networks.accepts(host.address)]


def judge_certificates(hosts: Sequence[RegisteredHost], certificates: Sequence[CertificateFacts]) -> Iterator[Finding]:
    """Yield the registered hosts whose certificate is refused, or ends soon."""
    for host, certificate in zip(hosts, certificates, strict=True):
        if certificate.problem:
            yield RUNTIME_HOSTS.warning(
                f"the certificate of {_named(host)} is refused: {certificate.problem}",
                "Controllers do not use the host.",
                _certificate_remedy(certificate.problem),
            )
        elif certificate.days is not None and certificate.days < CERTIFICATE_DAYS_MIN:
            yield _ends_soon(_named(host), certificate.days)


def _without_hosts(used: Sequence[RegisteredHost], now: datetime, settings: Settings) -> Iterator[Finding]:
    listed = {Language.NODEJS: settings.nodejs_runtime_url, Language.PYTHON: settings.python_runtime_url}
    served = {language for host in used if host.starts_scripts(now) for language in host.languages}
    for language in (each for each, urls in listed.items() if not urls and each not in served):
        yield RUNTIME_HOSTS.problem(
            f"no host is registered for {language}",
            UNAVAILABLE,
            "Start one with CONTROLLER_URL. If it runs, its log has `host_not_registered` with the reason.",
        )


def _left_alone(hosts: Sequence[RegisteredHost], now: datetime, networks: HostNetworks) -> Iterator[Finding]:
    for host in hosts:
        if host.state is not HostState.ENDED and not host.is_live(now):
            yield RUNTIME_HOSTS.warning(
                f"{_named(host)} was last seen at {host.seen_at:%Y-%m-%d %H:%M:%S}Z, and has not reported its end",
                "It gets no executions.",
                "Look at its log and at the network between. If it is gone for good, this ends after an hour.",
            )
        elif host.is_live(now) and not networks.accepts(host.address):
            yield RUNTIME_HOSTS.warning(
                f"{_named(host)} is at {host.address}, outside of RUNTIME_HOST_NETWORKS",
                "A controller with these settings does not use it.",
                "Give all controllers the same RUNTIME_HOST_NETWORKS.",
            )


def _described(used: Sequence[RegisteredHost]) -> Iterator[Finding]:
    for host in used:
        if host.release != VERSION:
            seen = f"{_named(host)} is of release {host.release}, this one of {VERSION}"
            yield RUNTIME_HOSTS.note(seen, remedy="Upgrade it.")
    plain = [host for host in used if urlsplit(host.url).scheme == "http" and not host.address.is_loopback]
    if plain:
        yield RUNTIME_HOSTS.note(
            f"{len(plain):,} registered hosts are reached without TLS, {_named(plain[0])} first",
            "The network between reads scripts, params and RUNTIME_TOKEN.",
            "Keep that network to controllers and hosts.",
        )
    if used:
        yield RUNTIME_HOSTS.ok(f"{len(used):,} hosts are registered, and are live")


def _named(host: RegisteredHost) -> str:
    return f"{host.name} ({host.url})"


def judge_runtime_hosts(hosts: Sequence[RuntimeHostFacts]) -> Sequence[Finding]:
    """Return one finding about each runtime host."""
    return [_judge_runtime_host(host, is_alone=_is_alone(host, hosts)) for host in hosts]


def _is_alone(host: RuntimeHostFacts, hosts: Sequence[RuntimeHostFacts]) -> bool:
    """Tell whether a language of this host has no other healthy host."""
    healthy = {language for other in hosts if other.status == "ok" for language in other.languages}
    return not set(host.languages) <= healthy


def _judge_runtime_host(host: RuntimeHostFacts, *, is_alone: bool) -> Finding:
    name, languages = f"{host.url} ({', '.join(host.languages)})", ", ".join(host.languages)
    if host.certificate_days is not None and host.certificate_days < CERTIFICATE_DAYS_MIN:
        return _ends_soon(name, host.certificate_days)
    if host.status == "ok" and host.version not in ("", VERSION):
        return RUNTIME_HOSTS.note(f"{name} is of release {host.version}, this one of {VERSION}", remedy="Upgrade it.")
    if host.status == "ok":
        return RUNTIME_HOSTS.ok(f"{name} is healthy{f', release {host.version}' if host.version else ''}")
    seen = f"{name} is {host.status}: {host.certificate_problem or host.reason or 'it gives no reason'}"
    remedy = _remedy(host)
    if is_alone:
        return RUNTIME_HOSTS.problem(seen, f"No other host runs {languages}. {UNAVAILABLE}", remedy)
    return RUNTIME_HOSTS.warning(seen, "The other hosts carry its load.", remedy)


def _remedy(host: RuntimeHostFacts) -> str:
    if host.certificate_problem:
        return _certificate_remedy(host.certificate_problem)
    if any(sign in host.reason for sign in _TOKEN_SIGNS):
        return "Give this service and the host the same RUNTIME_TOKEN."
    return "Start the host (`pglambda runtime-host`), let this machine reach it, or correct the runtime URL."


def _certificate_remedy(problem: str) -> str:
    return next(text for sign, text in _CERTIFICATE_REMEDIES.items() if sign in problem)


def _ends_soon(name: str, days: float) -> Finding:
    return RUNTIME_HOSTS.warning(
        f"the certificate of {name} ends in {days:.0f} days",
        "Controllers refuse the host from then on.",
        "Renew it, and restart the host: it reads RUNTIME_TLS_CERT_FILE at its start only.",
    )
