"""The numbers that the HTTP API works with."""

from attrs import frozen

from domain.limits import LimitsPolicy


@frozen
class HttpOptions:
    """Sizes in bytes, times in seconds; `inside_max` requests are worked on at once, the rest is refused."""

    limits: LimitsPolicy
    script_size_max: int = 1024 * 1024
    context_size_max: int = 256 * 1024
    metadata_size_max: int = 16 * 1024
    params_size_max: int = 1024 * 1024
    inside_max: int = 1024
    body_timeout_s: float = 10.0
    probe_timeout_s: float = 0.8
