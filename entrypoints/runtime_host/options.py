"""The options of a runtime host."""

import ipaddress
import platform

from attrs import Attribute, field, frozen

from adapters.runtime_protocol import ESCAPED_BYTES
from domain.grants.secrets import SECRETS_MAX
from domain.scripts.files import COUNT_MAX, PATH_SIZE_MAX, PATTERNS_MAX
from domain.secrets.secret import VALUE_SIZE_MAX

ENVELOPE_SIZE_MAX = 16_384
"""The largest body without its script, params and context, in bytes."""
_NAME_LENGTH_MAX = 128
_FILES_SIZE_MAX = (COUNT_MAX + PATTERNS_MAX) * (2 * PATH_SIZE_MAX + 64)
"""The paths of files, with a backslash before each byte, and their sizes."""


def _require_token(options: "RuntimeHostOptions", _attribute: "Attribute[str | None]", token: str | None) -> None:
    if token is None:
        if not _is_local(options.bind):
            raise ValueError(
                f"RUNTIME_TOKEN must be set when a runtime host listens on {options.bind}, which other machines may "
                "reach. Set it here and at the controllers, or listen on loopback."
            )
    elif not (token and token.isascii() and token.isprintable() and token == token.strip()):
        raise ValueError(
            "RUNTIME_TOKEN must be printable ASCII without spaces at its ends, because it is sent in a header. Choose "
            "another token."
        )


def _is_local(bind: str) -> bool:
    if bind.startswith("unix:") or bind == "localhost":
        return True
    try:
        return ipaddress.ip_address(bind).is_loopback
    except ValueError:
        return False


@frozen
class RuntimeHostOptions:
    """Sizes in bytes, times in seconds. `bind` is the address on which the host listens, or `unix:/path`.

    `name` is what controllers call it, and `runs_max` how many executions it runs at once. At most `requests_max`
    requests are in flight, and `executions_max` executions are remembered. The scripts that are kept have
    `script_cache_size_max` bytes in all. A controller that takes less than 64 KiB in `stall_s` is disconnected.
    Raises ValueError if other machines may reach the address and there is no token.
    """

    bind: str = "127.0.0.1"
    name: str = field(factory=lambda: platform.node()[:_NAME_LENGTH_MAX])
    runs_max: int = 64
    token: str | None = field(default=None, repr=False, validator=_require_token)
    script_size_max: int = 1_048_576
    params_size_max: int = 1_048_576
    context_size_max: int = 262_144
    state_size_max: int = 262_144
    secrets_size_max: int = SECRETS_MAX * VALUE_SIZE_MAX
    script_cache_size_max: int = 67_108_864
    body_timeout_s: float = 10.0
    stall_s: float = 5.0
    requests_max: int = 1024
    executions_max: int = 100_000

    @property
    def execute_body_size_max(self) -> int:
        """The largest body of `POST /execute`."""
        values = self.params_size_max + self.context_size_max + self.state_size_max
        return self.script_body_size_max + values + _FILES_SIZE_MAX + ESCAPED_BYTES * self.secrets_size_max

    @property
    def script_body_size_max(self) -> int:
        """The largest body of `POST /check`."""
        return ESCAPED_BYTES * self.script_size_max + ENVELOPE_SIZE_MAX
