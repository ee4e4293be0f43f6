"""The options of what answers requests: the API, and the API of the origin."""

from domain.scripts.convention import Convention
from entrypoints.composition.checked_options import request_timeout_s
from entrypoints.composition.options import limits_policy
from entrypoints.http.options import HttpOptions
from entrypoints.origin.endpoints import OriginOptions
from entrypoints.settings.choices import Idempotency
from entrypoints.settings.settings import Settings


def http_options(settings: Settings) -> HttpOptions:
    """Return the limits of requests."""
    return HttpOptions(
        limits=limits_policy(settings),
        ttl_seconds_max=settings.session_max_lifetime_seconds,
        script_size_max=settings.max_script_size,
        context_size_max=settings.max_context_size,
        params_size_max=settings.max_params_size,
        state_size_max=settings.max_state_size,
        batch_size_max=settings.max_batch_size,
        batch_items_max=settings.max_batch_items,
        examination_wait_s=request_timeout_s(settings),
        idempotency=settings.idempotency is Idempotency.ON,
        cors_origins=settings.cors_origins,
        runtime_token=settings.runtime_token.reveal() if settings.runtime_token else None,
    )


def origin_options(settings: Settings) -> OriginOptions:
    """Return how the origin's clients are served."""
    return OriginOptions(Convention(settings.script_convention), settings.origin_lenient)
