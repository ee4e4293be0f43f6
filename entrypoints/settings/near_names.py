"""Variables of the environment that are no settings: those that nearly have the name of one, and those of others."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches

from attrs import frozen
from typing_extensions import override

from entrypoints.settings.environment import variables_of
from entrypoints.settings.settings import Settings

_PREFIX = "PGLAMBDA_"
_LIKENESS_MIN = 0.85
"""As SCRIPT_TIMEOUT is like SCRIPT_TIMEOUT_MS (0.90), and PGPORT is not like PORT (0.80)."""

_OTHERS = frozenset({"NODE_PATH", "PGLAMBDA_TOKEN"})
"""Variables of Node.js and of `pglambda bench`."""


_OF_ORIGIN = frozenset(
    (
        *("OPENFAAS_GATEWAY_URL", "REDIS_CACHE_URL", "RUNTIME_FALLBACK_TIMEOUT_SECONDS", "RUNTIME_MAX_RETRIES"),
        *("RUNTIME_SELECTION_STRATEGY", "RUST_RUNTIME_URL", "WASM_COMPILE_TIMEOUT_SECONDS"),
    )
)
"""Variables of lambda-microservice that no other program is likely to have."""

ORIGIN_REMEDY = "Convert its settings with: pglambda takeover config --env FILE"


@frozen
class NearName:
    """A variable that has no effect, and the setting whose name it nearly has."""

    variable: str
    setting: str

    @override
    def __str__(self) -> str:
        return f"{self.variable} is not a setting, so it has no effect. Rename it to {self.setting}, or unset it."


def near_names(environ: Mapping[str, str]) -> Iterator[NearName]:
    """Yield the variables that a person may have meant as settings, in the order of their names."""
    known = variables_of(Settings)
    for variable in sorted(environ.keys() - known - _OTHERS):
        for setting in get_close_matches(variable.removeprefix(_PREFIX), known, 1, _LIKENESS_MIN):
            yield NearName(variable, setting)


def origin_names(environ: Mapping[str, str]) -> Sequence[str]:
    """Return the variables of lambda-microservice: some of its settings mean something else here."""
    return sorted(environ.keys() & _OF_ORIGIN)
