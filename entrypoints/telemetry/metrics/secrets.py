"""Metrics of secrets."""

from collections.abc import Iterable

from attrs import define
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from domain.secrets.secret import SecretNotAllowed, SecretNotFound, SecretsUnavailable
from domain.secrets.values import SecretStats
from entrypoints.telemetry.metrics.instruments import counter

_GIVEN = counter("pglambda_secrets_given_total", "Values of secrets that executions have got.")
_REFUSED = counter(
    "pglambda_secrets_refused_total",
    "Executions that did not run because a secret was removed, limited to other functions, or did not open, by code.",
    "code",
)
_CODES = (SecretNotFound.code, SecretNotAllowed.code, SecretsUnavailable.code)


@define(eq=False)
class SecretMetrics(Collector):
    """Reads what was counted when executions asked for secrets."""

    _stats: SecretStats

    @override
    def collect(self) -> Iterable[Metric]:
        yield _GIVEN.single(self._stats.given)
        yield _REFUSED.metric(((code,), self._stats.refused.get(code, 0)) for code in _CODES)
