"""The limits of the HTTP API."""

from collections.abc import Sequence

from attrs import field, frozen

from domain.scripts.limits import LimitsPolicy


@frozen
class HttpOptions:
    """Sizes in bytes, times in seconds. `metadata_values_max` values may be in metadata, at all levels together.

    `in_flight_max` requests are in flight at once, `batches_max` of them batches of up to `batch_size_max`, and
    `owner_batches_max` those of one owner; `batches_waiting_max` more wait. The client of a streaming response may read
    nothing for `stall_s`. A batch waits for its turn, and a large body for its examination, for `examination_wait_s`.
    `examination_bytes_max` bytes of bodies wait at once. Without `idempotency`, calls with a key are rejected. Pages of
    `cors_origins` may call the service and read responses; "*" is any. Runtime hosts register with `runtime_token`.
    """

    limits: LimitsPolicy
    ttl_seconds_max: int = 30 * 86_400
    script_size_max: int = 1024 * 1024
    context_size_max: int = 256 * 1024
    metadata_size_max: int = 16 * 1024
    metadata_values_max: int = 256
    params_size_max: int = 1024 * 1024
    state_size_max: int = 256 * 1024
    schema_size_max: int = 64 * 1024
    batch_size_max: int = 8 * 1024 * 1024
    batch_items_max: int = 1000
    batch_parallel_max: int = 4
    batches_max: int = 32
    owner_batches_max: int = 25
    batches_waiting_max: int = 256
    stall_s: float = 30.0
    in_flight_max: int = 1024
    body_timeout_s: float = 10.0
    chunk_timeout_s: float = 16.0
    examination_wait_s: float = 2.0
    examination_bytes_max: int = 128 * 1024 * 1024
    probe_timeout_s: float = 0.8
    idempotency: bool = True
    cors_origins: Sequence[str] = ()
    runtime_token: str | None = field(default=None, repr=False)
