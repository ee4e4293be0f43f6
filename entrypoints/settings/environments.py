"""The settings of environments."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from domain.environments.tree import TreeLimits
from domain.scripts.language import Language
from entrypoints.settings.secret import Secret
from entrypoints.settings.settings import MEBI, Settings

_PORT_MAX = 65_535
_LISTED_MAX = 16


def index_urls(settings: Settings) -> Mapping[Language, Secret]:
    """Return the URL of the index of each language that has one."""
    urls = {Language.PYTHON: settings.environment_index_python, Language.NODEJS: settings.environment_index_nodejs}
    return {language: url for language, url in urls.items() if url is not None}


def built_languages(settings: Settings) -> frozenset[Language]:
    """Return the languages of which environments can be built."""
    return frozenset(index_urls(settings))


def index_hosts(settings: Settings) -> Iterator[tuple[str, int]]:
    """Yield the further hosts of indexes, with their ports."""
    for text in settings.environment_index_hosts:
        host, _, port = text.rpartition(":")
        yield host, int(port)


def tree_limits(settings: Settings) -> TreeLimits:
    """Return the limits of the files of an environment."""
    return TreeLimits(settings.max_environment_mb * MEBI, settings.max_environment_files)


def environment_settings_are_valid(settings: Settings) -> Iterator[str]:
    """Check the URLs and the hosts of indexes."""
    for language, url in index_urls(settings).items():
        fault = _url_fault(url.reveal())
        if fault is not None:  # it does not quote the URL, which may have a password
            yield f"ENVIRONMENT_INDEX_{language.upper()}: {fault}. Set it to a URL such as https://index.example.com/simple."
    if len(settings.environment_index_hosts) > _LISTED_MAX:
        yield f"ENVIRONMENT_INDEX_HOSTS: more than {_LISTED_MAX} entries. Name fewer."
    for text in settings.environment_index_hosts:
        host, _, port = text.rpartition(":")
        if not _is_name(host) or not port.isdecimal() or not 0 < int(port) <= _PORT_MAX:
            yield f"ENVIRONMENT_INDEX_HOSTS: {text!r} is not valid. Set it to hosts such as files.example.com:443."


def _url_fault(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "it is no URL"
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
        return "it is no URL with https or http and a host"
    if not _is_name(parts.hostname):
        return "its host is an address, and a build reaches hosts by their names"
    return None


def _is_name(host: str) -> bool:
    """Return whether a build can reach a host: by its name, or on this machine."""
    try:
        ip_address(host)
    except ValueError:
        return bool(host) and not set(host) & set("/@ ")
    return host == "127.0.0.1"
