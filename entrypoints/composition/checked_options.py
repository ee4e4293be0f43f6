"""The options that a start checks before anything is built. Every command imports this module, so it imports little."""

from adapters.mapping_file import WrongMappingFile, read_mapping
from adapters.postgres.gateway_options import APPLICATION, APPLICATION_OF_NODES, GatewayOptions, WrongAddress
from domain.scripts.language import LanguageMapping
from entrypoints.settings.environment import SettingsError
from entrypoints.settings.settings import Settings

_WAITING_CONNECTIONS = 2
_WRONG_URL = (
    "DATABASE_URL: it is not valid. Set it to postgresql://user:password@host:5432/database, with the special "
    "characters "
    "of the password percent-encoded, and with no parameters but PostgreSQL's own."
)
_SLOW_SHARE = 40
"""A statement is slow if it takes more than this part of the budget: 50 ms of 2 s, and 500 ms in a command."""


def gateway_options(settings: Settings) -> GatewayOptions:
    """Return the address of the database and the limits of every wait; DB_POOL_MAX counts all connections of a process.

    Raises SettingsError when DATABASE_URL is no address.
    """
    assert settings.database_url is not None, "the embedded server's URL is put in before anything connects"
    waiting = min(_WAITING_CONNECTIONS, settings.db_pool_max // 2)
    try:
        return GatewayOptions(
            dsn=settings.database_url.reveal(),
            pool_size_max=settings.db_pool_max - waiting,
            lock_wait_pool_size_max=waiting,
            request_timeout_s=request_timeout_s(settings),
            prepares=settings.db_prepare,
            server_timeouts=settings.db_server_timeouts,
            slow_statement_s=request_timeout_s(settings) / _SLOW_SHARE,
            application=APPLICATION if settings.database_nodes is None else APPLICATION_OF_NODES,
        )
    except WrongAddress as error:
        raise SettingsError([_WRONG_URL]) from error


def request_timeout_s(settings: Settings) -> float:
    """Return the budget of one request."""
    return settings.request_timeout_ms / 1000


def language_mapping(settings: Settings) -> LanguageMapping:
    """Return the prefixes of language-titles; raises SettingsError if RUNTIME_MAPPINGS_FILE is wrong."""
    if settings.runtime_mappings_file is None:
        return LanguageMapping()
    try:
        return read_mapping(settings.runtime_mappings_file)
    except WrongMappingFile as error:
        raise SettingsError([f"RUNTIME_MAPPINGS_FILE: {error}"]) from error
