"""What the client of runtime hosts is told at its start."""

from attrs import field, frozen

_ESCAPED_BYTES = 6
"""The most bytes that JSON takes for one byte of text, as in `\\u0000`."""

_ENVELOPE_SIZE_MAX = 65_536
"""The most bytes of an answer beside its result and output: names, figures, an error with its stack."""


@frozen
class RuntimeOptions:
    """Times in seconds, sizes in bytes, runs at once and runs waiting per language.

    `runtime_timeout_s` is what a host may add to a script's own time limit; `cooldown_s` is how long a host that
    could not be reached is tried last. `output_size_max` bounds stdout and stderr, each. `held_max` hashes of scripts
    are remembered per host; of a forgotten one the source is sent once more.

    A host is sent `checks_max` syntax checks at once, `owner_checks_max` of them for one owner; the scripts of others wait
    and take `checks_waiting_bytes_max` in all, each of which counts 16 KiB at least.
    """

    token: str | None = field(default=None, repr=False)
    runs_max: int = 64
    queue_max: int = 1024
    queue_timeout_s: float = 2.0
    connect_timeout_s: float = 1.0
    runtime_timeout_s: float = 5.0
    check_timeout_s: float = 2.0
    evict_timeout_s: float = 1.0
    health_timeout_s: float = 0.8
    cooldown_s: float = 1.0
    checks_max: int = 64
    owner_checks_max: int = 8
    checks_waiting_bytes_max: int = 67_108_864
    result_size_max: int = 1_048_576
    output_size_max: int = 262_144
    held_max: int = 10_000

    @property
    def answer_size_max(self) -> int:
        """The largest answer whose result can be within its size."""
        return self.result_size_max + 2 * _ESCAPED_BYTES * self.output_size_max + _ENVELOPE_SIZE_MAX
