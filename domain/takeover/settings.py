"""The settings of the origin as settings of this service."""

import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote

from attrs import define, field, frozen

from domain.takeover.traps import TRAPS

_LIFETIME_DEFAULT_S = 2_592_000
_LIFETIME_MAX_S = 366 * 86_400
_TIMEOUT_DEFAULT_MAX_MS = 60_000
_TIMEOUT_MAX_MS = 3_600_000
_SIZE_MAX = 64 * 1024 * 1024
_PORT_MAX = 65_535
_PORT_STEP = 1000
"""The runtimes of the origin have the ports behind its own."""

_BODY_SIZE = 2 * 1024 * 1024
_NUMBER = re.compile(r"[0-9]{1,18}")
_NODE_ENV = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LEVELS = {"trace": "debug", "debug": "debug", "info": "info", "warn": "warning", "warning": "warning"}
_LEVELS |= {"error": "error", "critical": "error", "fatal": "error"}
_MAPPED = "config"

SECRETS = frozenset({"TAKEOVER_SOURCE_URL", "TAKEOVER_REDIS_URL"})
"""Settings whose values have passwords."""


@frozen
class Remark:
    """What an operator has to know about a variable."""

    variable: str
    words: str


@frozen
class ConvertedSettings:
    """Settings of this service by name, in the order of their printing, with remarks by variable of the origin.

    `faults` are the remarks about values that do not fit. `foreign` are names that the origin does not have. `mappings`
    is the path of its mapping file, if it uses one.
    """

    settings: Mapping[str, str] = field(repr=False)
    remarks: Sequence[Remark]
    faults: Sequence[Remark]
    foreign: Sequence[str]
    mappings: str | None

    @property
    def masked(self) -> Mapping[str, str]:
        """The settings without the values of secrets."""
        return {name: "********" if name in SECRETS else value for name, value in self.settings.items()}


@frozen
class Place:
    """Where this service and the origin will be, as far as the operator says.

    `port` is that of the own API, `origin_url` where the front reaches the origin, and `mappings` the path of the
    converted mapping file. `has_redis` says that the origin is of generation 1, which keeps sessions in Redis.
    """

    port: int | None = None
    origin_url: str | None = None
    mappings: str | None = None
    has_redis: bool = False


def converted(origin: Mapping[str, str], place: Place) -> ConvertedSettings:
    """Return the settings for variables of the origin; one that is empty counts as not set."""
    conversion = _Conversion({name: value for name, value in origin.items() if value}, place)
    steps: Sequence[Callable[[], None]] = (
        conversion.addresses,
        conversion.databases,
        conversion.times,
        conversion.sizes,
        conversion.rest,
    )
    for step in steps:
        step()
    settings = conversion.settings
    if place.origin_url:
        settings["ORIGIN_URL"] = place.origin_url
    if place.mappings:
        settings["RUNTIME_MAPPINGS_FILE"] = place.mappings
    known = [name for name in conversion.origin if name in TRAPS]
    remarks = [Remark(name, TRAPS[name]) for name in known]
    foreign = [name for name in conversion.origin if name not in TRAPS]
    return ConvertedSettings(settings, remarks, conversion.faults, foreign, conversion.mappings)


@define
class _Conversion:
    """The settings and faults so far."""

    origin: Mapping[str, str]
    place: Place
    settings: dict[str, str] = field(factory=dict)
    faults: list[Remark] = field(factory=list)

    @property
    def mappings(self) -> str | None:
        """The path of the origin's mapping file, if the origin reads it."""
        uses = self.origin.get("RUNTIME_SELECTION_STRATEGY") == _MAPPED
        return self.origin.get("RUNTIME_MAPPINGS_FILE") if uses else None

    def addresses(self) -> None:
        """Give the clients' port to the listener for them, and keep what the origin lets everybody do."""
        host, port = self.origin.get("HOST", "0.0.0.0"), self._number("PORT", 1, _PORT_MAX) or 8080  # noqa: S104
        own = self.place.port or (port + _PORT_STEP if port + _PORT_STEP <= _PORT_MAX else port - _PORT_STEP)
        if own == port:
            self._fault("PORT", f"{port} is the port of the clients, so --port must be another one.")
        self.settings |= {"HOST": host, "PORT": str(own), "ORIGIN_PORT": str(port), "AUTH": "none", "CORS_ORIGINS": "*"}
        metrics = self._number("METRICS_PORT", 1, _PORT_MAX)
        if metrics is not None and metrics in {port, own}:
            self._fault("METRICS_PORT", f"{metrics} is another listener's port, so it is left out. Choose a free one.")
        elif metrics is not None:
            self.settings["METRICS_PORT"] = str(metrics)

    def databases(self) -> None:
        """Name the databases of the origin as the sources of the takeover."""
        named = {"DATABASE_URL": "TAKEOVER_SOURCE_URL"}
        for old, new in {**named, **({"REDIS_URL": "TAKEOVER_REDIS_URL"} if self.place.has_redis else {})}.items():
            if old in self.origin:
                self.settings[new] = self.origin[old]
            elif f"{old}_FILE" in self.origin:
                self.settings[f"{new}_FILE"] = self.origin[f"{old}_FILE"]
        if "TAKEOVER_SOURCE_URL" in self.settings:
            self.settings["TAKEOVER_SOURCE_URL"] = self._source_url(self.origin["DATABASE_URL"])

    def _source_url(self, url: str) -> str:
        address = escaped_url(url)
        if address is None:
            self._fault(
                "DATABASE_URL",
                "The origin cannot use this URL as it stands: it looks for one @, one : and one / after ://. It is "
                "kept. Compare it with the connections of the origin in pg_stat_activity.",
            )
        return address or url

    def times(self) -> None:
        """Convert the lifetime of sessions and the limit of executions."""
        expiry_s = self._number("SESSION_EXPIRY_SECONDS", 1, _LIFETIME_MAX_S)
        if expiry_s is not None:
            self.settings["SESSION_EXPIRY_SECONDS"] = str(expiry_s)
            if expiry_s > _LIFETIME_DEFAULT_S:
                self.settings["SESSION_MAX_LIFETIME_SECONDS"] = str(expiry_s)
        timeout_s = self._number("RUNTIME_TIMEOUT_SECONDS", 1, _TIMEOUT_MAX_MS // 1000)
        timeout_ms = 30_000 if timeout_s is None else timeout_s * 1000
        self.settings["SCRIPT_TIMEOUT_MS"] = str(timeout_ms)
        if timeout_ms > _TIMEOUT_DEFAULT_MAX_MS:
            self.settings["SCRIPT_TIMEOUT_MAX_MS"] = str(timeout_ms)

    def sizes(self) -> None:
        """Accept bodies as large as the origin does."""
        script = self._number("MAX_SCRIPT_SIZE", 1, _SIZE_MAX)
        if script is not None:
            self.settings["MAX_SCRIPT_SIZE"] = str(script)
        self.settings |= {
            "MAX_CONTEXT_SIZE": str(_BODY_SIZE),
            "MAX_PARAMS_SIZE": str(_BODY_SIZE),
            "MAX_RESULT_SIZE": str(_SIZE_MAX),
        }

    def rest(self) -> None:
        """Convert the level of the log, and what scripts see."""
        if "LOG_LEVEL" in self.origin:
            given = self.origin["LOG_LEVEL"]
            self.settings["LOG_LEVEL"] = _LEVELS.get(given.lower(), "info")
            if given.lower() not in _LEVELS:
                self._fault("LOG_LEVEL", f"The value {given!r} is not known, so it is info here.")
        node_env = self.origin.get("NODE_ENV")
        if node_env is not None and _NODE_ENV.fullmatch(node_env):
            self.settings["SCRIPT_NODE_ENV"] = node_env

    def _number(self, name: str, least: int, most: int) -> int | None:
        """Return the number of a variable; None if it is not set, or no number here."""
        text = self.origin.get(name)
        if text is None:
            return None
        if not _NUMBER.fullmatch(text):
            self._fault(name, f"The value {text!r} is no whole number, so the origin does not start. It is left out.")
            return None
        number = int(text)
        if least <= number <= most:
            return number
        self._fault(name, f"The value {text} is outside {least:,} to {most:,}. The nearest of them is set.")
        return min(max(number, least), most)

    def _fault(self, name: str, words: str) -> None:
        self.faults.append(Remark(name, words))


def escaped_url(url: str) -> str | None:
    """Return the URL that PostgreSQL's own clients read as the origin reads this one; None if that is not possible."""
    scheme, _, rest = url.partition("://")
    if scheme not in {"postgres", "postgresql"} or rest.count("@") != 1:
        return None
    credentials, place = (part.split(sep) for part, sep in zip(rest.split("@"), ":/", strict=True))
    host = place[0].split(":")
    if len(credentials) != 2 or len(host) > 2 or len(place) != 2 or (len(host) == 2 and not host[1].isdecimal()):
        return None
    user, password, name = (quote(part, safe="") for part in (*credentials, place[1]))
    return f"postgresql://{user}:{password}@{':'.join(host)}/{name}"
