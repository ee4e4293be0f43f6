"""The values of settings that are a choice."""

from enum import StrEnum


class LogLevel(StrEnum):
    """The least severe level that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """The format of log lines; auto is console on a terminal and JSON elsewhere."""

    AUTO = "auto"
    CONSOLE = "console"
    JSON = "json"


class NodeStartChoice(StrEnum):
    """How workers for Node.js start."""

    AUTO = "auto"
    FORK = "fork"
    EXEC = "exec"


class SandboxRequirement(StrEnum):
    """The least acceptable isolation: the full sandbox, or in addition workers with their own user id."""

    STANDARD = "standard"
    SEPARATE_UID = "separate-uid"


class Traces(StrEnum):
    """Whether spans are recorded and sent."""

    NONE = "none"
    OTLP = "otlp"


class HistoryMode(StrEnum):
    """What the history keeps of executions: everything, or everything except payloads."""

    FULL = "full"
    SUMMARY = "summary"


class Idempotency(StrEnum):
    """Whether calls may have an Idempotency-Key; their responses are stored for that."""

    ON = "on"
    OFF = "off"


class NewConvention(StrEnum):
    """The calling convention of sessions that clients of the origin's API initialize."""

    OWN = "own"
    ORIGIN = "origin"


class AuthenticationMode(StrEnum):
    """Who may call: everybody, or callers with a token or an API key."""

    NONE = "none"
    REQUIRED = "required"


class EgressChoice(StrEnum):
    """What decides which hosts scripts may reach: EGRESS_RULES, or also the rules of single owners; or none may be."""

    OFF = "off"
    RULES = "rules"
    OWNERS = "owners"
