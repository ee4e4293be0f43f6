"""The variables of the origin, as its files have them."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONTROLLER = "NODEJS_RUNTIME_URL"
"""A variable without which the controller of the origin does not start, and that no other part of it has."""

_OF_RUNTIMES = ("NODE_ENV", "SCRIPT_TIMEOUT_MS", "PYTHON_ENV", "DB_LOGGING_ENABLED", "DB_CONNECTION_STRING")
_SECRETS = "/run/secrets/"
_OTHER_FORMS = (
    "Give a Compose file as `docker compose config --format json` prints it, and a ConfigMap as `kubectl get configmap "
    "NAME --output json` does"
)


class EnvironmentRefused(ValueError):
    """The text is none of the forms that are read; the error says what is wrong."""


def read_variables(text: str) -> Mapping[str, str]:
    """Return the variables of a file; raises EnvironmentRefused.

    The forms are lines of `NAME=value` as Compose reads them, the output of `docker compose config --format json`, and
    that of `kubectl get configmap NAME --output json`. Of Compose, the service of the controller counts, and what only
    the runtimes have; the paths of secrets are those outside the containers.
    """
    if not text.lstrip().startswith("{"):
        return dict(_lines(text))
    try:
        content = json.loads(text)
    except ValueError as error:
        raise EnvironmentRefused(f"it begins like JSON, and is none: {error}") from None
    data = content.get("data")
    if isinstance(data, dict):
        return {name: str(value) for name, value in data.items()}
    return _of_compose(content)


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip().removeprefix("export ").lstrip()
        if not stripped or stripped.startswith("#"):
            continue
        name, equals, value = stripped.partition("=")
        if not equals or not _NAME.fullmatch(name.strip()):
            raise EnvironmentRefused(f"line {number} is not NAME=value. {_OTHER_FORMS}")
        yield name.strip(), _unquoted(value.strip())


def _unquoted(value: str) -> str:
    """Return a value without its quotes; behind a space, a # begins a comment."""
    quoted = re.match(r"'([^']*)'|\"((?:[^\"\\]|\\.)*)\"", value)
    if quoted is None:
        return re.split(r"\s#", value, maxsplit=1)[0].rstrip()
    return quoted[1] if quoted[1] is not None else re.sub(r"\\(.)", r"\1", quoted[2])


def _of_compose(content: Mapping[str, Any]) -> Mapping[str, str]:
    services = content.get("services")
    if not isinstance(services, dict):
        raise EnvironmentRefused('it is JSON without "services" or "data"')
    environments = [_environment(service.get("environment")) for service in services.values()]
    controllers = [each for each in environments if _CONTROLLER in each]
    if not controllers:
        raise EnvironmentRefused(f"no service has {_CONTROLLER}, as the controller of the origin has")
    runtimes = {name: each[name] for each in environments for name in _OF_RUNTIMES if name in each}
    return {name: _outside(value, content) for name, value in {**runtimes, **controllers[0]}.items()}


def _environment(given: object) -> Mapping[str, str]:
    """Return the environment of a service, which is an object, or a list of texts."""
    if isinstance(given, list):
        given = dict(str(each).partition("=")[::2] for each in given)
    pairs = given.items() if isinstance(given, dict) else ()
    return {str(name): str(value) for name, value in pairs if value is not None}


def _outside(value: str, content: Mapping[str, Any]) -> str:
    """Return the path of a secret's file on the host of the containers; another value as it is."""
    secret = (content.get("secrets") or {}).get(value.removeprefix(_SECRETS)) if value.startswith(_SECRETS) else None
    return str(secret["file"]) if isinstance(secret, dict) and "file" in secret else value
