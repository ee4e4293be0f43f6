"""Who is calling, and what they may do."""

from enum import StrEnum

from attrs import frozen

from domain.identity import ANONYMOUS, Owner


class Scope(StrEnum):
    """What a token or a key allows."""

    EXECUTE_ALL = "execute:all"
    EXECUTE_NODEJS = "execute:nodejs"
    EXECUTE_PYTHON = "execute:python"
    READ_FUNCTIONS = "read:functions"
    WRITE_FUNCTIONS = "write:functions"
    ADMIN = "admin"


@frozen
class Principal:
    """A caller: the owner of what they make, and their scopes."""

    owner: Owner
    scopes: frozenset[Scope]


ANYBODY = Principal(ANONYMOUS, frozenset(Scope))
"""Every caller while authentication is off."""
