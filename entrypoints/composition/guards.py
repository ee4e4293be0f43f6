"""The guards of a controller: who may call, and how much an owner may have."""

import asyncio
import random
import secrets
import time
from collections.abc import Mapping, Sequence

from attrs import define, field, frozen

from adapters.jwt.jwks import Jwks
from adapters.jwt.verifier import JwtVerifier
from adapters.postgres.buckets.unknown_buckets import UnknownBuckets
from domain.access.authentication import Authentication, KeyRing
from domain.access.ports import ApiKeyRepository, TokenVerifier
from domain.access.principal import ANYBODY, NOBODY, Principal
from domain.clock import Clock
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.identity import Owner
from domain.limits.ports import Quotas, RateStore, ReservationStore, Unlimited, UsageReader
from domain.limits.quota_exchange import QuotaExchange
from domain.limits.rate_limiter import RateLimiter
from domain.limits.unknown_callers import UnknownCallers
from domain.limits.usage_limiter import UsageLimiter, UsageLimiterOptions, UsagePolicy
from domain.scripts.language import LanguageMapping
from domain.sessions.ports import SessionRepository
from domain.sessions.service import SessionLanguages
from entrypoints.composition.checked_options import request_timeout_s
from entrypoints.composition.options import key_cache_options, lookup_timeout_s
from entrypoints.composition.tokens import claim_rules, verification_keys
from entrypoints.http.endpoints.batches import Charge, charge_nothing
from entrypoints.http.endpoints.health import Probe
from entrypoints.http.middleware.authentication import AuthenticationGuard, LanguageGuard
from entrypoints.http.middleware.hosts import HostGuard
from entrypoints.http.middleware.rates import RateGuard, UnknownCallerGuard
from entrypoints.http.middleware.requests import LoopGuard, NodesGuard
from entrypoints.http.pipeline import Guard
from entrypoints.server.lifespan import Step
from entrypoints.settings.edge import allowed_hosts, rate_policies, unknown_policy
from entrypoints.settings.settings import Settings
from entrypoints.settings.urls import is_loopback

_EXECUTIONS_MAX = 1024
"""Executions of one controller at once, queued ones included."""

_MIB = 1024 * 1024

_WAIT_SHARE = 0.7
"""Part of a request's time in which it waits for what other processes have reserved of a quota."""

_RECOUNT_STATEMENTS = 4
"""Times of a request in which quotas are counted again after a failure, which takes four statements at most."""

_VERSION_BITS = 62


@frozen
class Security:
    """How callers are authenticated; `caller` is the principal of a request unless a guard sets another."""

    caller: Principal
    ring: KeyRing | None = None
    authentication: Sequence[Guard] = ()
    authorization: Sequence[Guard] = ()
    """Guards that may query the database; rate limits come before them."""
    background: Sequence[Step] = ()
    close: Sequence[Step] = ()
    probes: Mapping[str, Probe] = field(factory=dict)

    @classmethod
    def of(  # noqa: PLR0913, PLR0917  # the parts of authentication, by name
        cls,
        settings: Settings,
        clock: Clock,
        api_keys: ApiKeyRepository,
        sessions: SessionRepository,
        mapping: LanguageMapping,
        warn_of_anonymous: Step,
        unknown_callers: UnknownCallers | None = None,
    ) -> "Security":
        """Return the security that the settings ask for; raises SettingsError for a key that is not valid."""
        url = settings.jwt_jwks_url if settings.authenticated else None
        jwks = None if url is None else Jwks(url)
        tokens = _token_verifier(settings, clock, jwks)
        unknown = None if unknown_callers is None else UnknownCallerGuard(unknown_callers)
        if not settings.authenticated:
            return cls(ANYBODY, authentication=[] if unknown is None else [unknown])
        ring = KeyRing(clock, api_keys, key_cache_options(settings))
        return cls(
            NOBODY,
            ring=ring,
            authentication=[AuthenticationGuard(Authentication(ring, tokens), unknown)],
            authorization=[LanguageGuard(mapping, SessionLanguages(sessions, lookup_timeout_s(settings)))],
            background=[warn_of_anonymous, ring.run, *([] if jwks is None else [jwks.run])],
            close=[ring.close, *([] if jwks is None else [jwks.close])],
            probes={} if jwks is None else {"token_keys": jwks.health},
        )


@define(eq=False)
class OwnerLimits:
    """The limits that the settings ask for; a limit that is not set has no guard and no background work."""

    _settings: Settings
    _clock: Clock
    _rate_store: RateStore
    _usage_reader: UsageReader
    _reservations: ReservationStore
    executions: CapacityLimiter = field(init=False)
    rate_limiter: RateLimiter | None = field(default=None, init=False)
    unknown_callers: UnknownCallers | None = field(default=None, init=False)
    _rate_guard: RateGuard | None = field(default=None, init=False)
    _usage: UsageLimiter | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.executions = CapacityLimiter("an execution", _EXECUTIONS_MAX)
        self._limit_rates()
        self._limit_usage()

    @property
    def quotas(self) -> Quotas:
        """The quotas of sessions."""
        return Unlimited() if self._usage is None else self._usage

    @property
    def charge(self) -> Charge:
        """What the items of a batch are charged with."""
        return charge_nothing if self._rate_guard is None else self._rate_guard.charge

    @property
    def guards(self) -> Sequence[Guard]:
        """The guards that limit known callers."""
        return () if self._rate_guard is None else (self._rate_guard,)

    @property
    def background(self) -> Sequence[Step]:
        """The work in the background."""
        return [each.run for each in (self.rate_limiter, self._usage) if each is not None]

    @property
    def close(self) -> Sequence[Step]:
        """What returns reserved parts of quotas, before the database is closed."""
        return [] if self._usage is None else [self._usage.release]

    def _limit_rates(self) -> None:
        policies = rate_policies(self._settings.rate_limits)
        if policies:
            self.rate_limiter = RateLimiter(self._rate_store, self._clock, time.monotonic_ns, random.uniform)
            self._rate_guard = RateGuard(self.rate_limiter, policies)
        unknown = unknown_policy(self._settings.rate_limits)
        if unknown is not None:
            self.unknown_callers = UnknownCallers(unknown, time.monotonic_ns)

    def _limit_usage(self) -> None:
        settings = self._settings
        stored_mb, concurrent = settings.max_stored_mb_per_owner, settings.max_concurrent_per_owner
        policy = UsagePolicy(settings.max_sessions_per_owner, stored_mb and stored_mb * _MIB)
        if policy.counts_stored or concurrent is not None:
            clock, reader, timeout_s = self._clock, self._usage_reader, request_timeout_s(settings)
            exchange = QuotaExchange(reader, self._reservations, clock, time.monotonic_ns, _new_version)
            options = UsageLimiterOptions(wait_s=timeout_s * _WAIT_SHARE, failing_s=1 + timeout_s * _RECOUNT_STATEMENTS)
            self._usage = UsageLimiter(
                policy, exchange, reader, clock, time.monotonic_ns, self._held_by, asyncio.sleep, options
            )
            self.executions = CapacityLimiter("an execution", _EXECUTIONS_MAX, concurrent, self._usage.calls_elsewhere)

    def _held_by(self, owner: Owner) -> int:
        return self.executions.held_by(owner)


def guards(
    settings: Settings, security: Security, limits: OwnerLimits, unknown: UnknownBuckets | None
) -> Sequence[Guard]:
    """Return all guards in their order: loops of a front, the host, the caller, the caller's rates and rights."""
    loop_guards = () if settings.origin_url is None else (LoopGuard(),)
    return (*loop_guards, *admission(settings, security, limits), *authorization(security, unknown))


def authorization(security: Security, unknown: UnknownBuckets | None) -> Sequence[Guard]:
    """Return the guards of calls that need sessions."""
    nodes_guards = () if unknown is None else (NodesGuard(unknown),)
    return (*nodes_guards, *security.authorization)


def admission(settings: Settings, security: Security, limits: OwnerLimits) -> Sequence[Guard]:
    """Return the guards that do not look at sessions: the host, the caller, the caller's rates."""
    hosts = allowed_hosts(settings, on_loopback=is_loopback(settings.host))
    host_guards = (HostGuard(hosts),) if hosts else ()
    return (*host_guards, *security.authentication, *limits.guards)


def _token_verifier(settings: Settings, clock: Clock, jwks: Jwks | None) -> TokenVerifier | None:
    if not settings.verifies_tokens:
        return None
    return JwtVerifier(clock, claim_rules(settings), verification_keys(settings), jwks)


def _new_version() -> int:
    return 1 + secrets.randbits(_VERSION_BITS)
