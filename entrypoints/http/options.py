"""The numbers that the HTTP API works with."""

from collections.abc import Sequence

from attrs import frozen

from domain.scripts.limits import LimitsPolicy


@frozen
class HttpOptions:
    """Sizes in bytes, times in seconds; `inside_max` requests are worked on at once, the rest is refused.

    `batches_max` batches are held at once, each as large as `batch_size_max` allows. `stall_s` is how long the client
    of a streamed answer may take none of it. A large body waits `examination_wait_s` at most until it is read,
    and `examination_bytes_max` bytes wait at once.
    Without `idempotency` no call may have a key. Pages of `cors_origins` may call and read answers; "*" is any.
    """

    limits: LimitsPolicy
    script_size_max: int = 1024 * 1024
    context_size_max: int = 256 * 1024
    metadata_size_max: int = 16 * 1024
    params_size_max: int = 1024 * 1024
    schema_size_max: int = 64 * 1024
    batch_size_max: int = 8 * 1024 * 1024
    batch_items_max: int = 1000
    batch_parallel_max: int = 4
    batches_max: int = 32
    stall_s: float = 30.0
    inside_max: int = 1024
    body_timeout_s: float = 10.0
    examination_wait_s: float = 2.0
    examination_bytes_max: int = 128 * 1024 * 1024
    probe_timeout_s: float = 0.8
    idempotency: bool = True
    cors_origins: Sequence[str] = ()
