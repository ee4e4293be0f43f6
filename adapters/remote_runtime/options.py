"""The options of the client of runtime hosts."""

from attrs import field, frozen

from adapters.runtime_protocol import ESCAPED_BYTES

_ENVELOPE_SIZE_MAX = 65_536
"""The most bytes of a reply beside its result and output: names, measurements, an error with its stack."""


@frozen
class RuntimeOptions:
    """Times in seconds, sizes in bytes, runs at once and runs waiting per language.

    `ca_file` has the certificates by which `https://` hosts are verified; None means those of the system. At most
    `runs_max` runs are at hosts, and fewer if those run fewer at once. `runtime_timeout_s` is what a host may add to a
    script's own time limit. `output_size_max` bounds stdout and stderr, each. For each host the client remembers
    `sent_scripts_max` scripts that it has sent; it sends the source of a forgotten one again.

    A host is sent `checks_max` syntax checks at once, `owner_checks_max` of them for one owner. The scripts of further
    checks wait and take `checks_waiting_bytes_max` in all; each counts 16 KiB at least.
    """

    token: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    runs_max: int = 1024
    queue_max: int = 1024
    queue_timeout_s: float = 2.0
    connect_timeout_s: float = 1.0
    runtime_timeout_s: float = 5.0
    check_timeout_s: float = 2.0
    evict_timeout_s: float = 1.0
    cancel_timeout_s: float = 2.0
    health_timeout_s: float = 0.8
    checks_max: int = 64
    owner_checks_max: int = 8
    checks_waiting_bytes_max: int = 67_108_864
    result_size_max: int = 1_048_576
    output_size_max: int = 262_144
    state_size_max: int = 262_144
    sent_scripts_max: int = 10_000

    @property
    def reply_size_max(self) -> int:
        """The largest reply whose result can be within its size."""
        return (
            self.result_size_max + self.state_size_max + 2 * ESCAPED_BYTES * self.output_size_max + _ENVELOPE_SIZE_MAX
        )
