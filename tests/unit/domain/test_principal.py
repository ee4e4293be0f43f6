"""Who may do what."""

import pytest

from domain.access.principal import (
    ANY_EXECUTE,
    ANYBODY,
    EXECUTE,
    NOBODY,
    FunctionsOfAnother,
    Principal,
    Scope,
    ScopeMissing,
)
from domain.identity import ANONYMOUS, EVERY_OWNER, SHARED, Owner, OwnerRefused, named_owner, parse_owner
from domain.scripts.language import Language

ALICE, BOB = Owner("alice"), Owner("bob")


def caller(*scopes: Scope, owner: Owner = ALICE) -> Principal:
    return Principal(owner, frozenset(scopes))


def test_every_language_has_its_scope() -> None:
    assert set(EXECUTE) == set(Language)
    assert {Scope.EXECUTE_ALL, *EXECUTE.values()} == ANY_EXECUTE


@pytest.mark.parametrize("language", Language)
def test_scripts_of_a_language_need_its_scope_or_that_for_all(language: Language) -> None:
    caller(Scope.EXECUTE_ALL).require_language(language)
    caller(EXECUTE[language]).require_language(language)
    others = set(Scope) - {Scope.EXECUTE_ALL, EXECUTE[language]}
    with pytest.raises(ScopeMissing) as caught:
        caller(*others).require_language(language)
    assert caught.value.needed[0] == EXECUTE[language]
    assert str(EXECUTE[language]) in caught.value.message
    assert caught.value.details == {"needed_scopes": [EXECUTE[language], "execute:all"]}


def test_one_of_several_scopes_is_enough() -> None:
    caller(Scope.ADMIN).require_any(frozenset({Scope.ADMIN, Scope.EXECUTE_ALL}))
    with pytest.raises(ScopeMissing):
        caller(Scope.READ_FUNCTIONS).require_any(frozenset({Scope.ADMIN}))


def test_only_an_admin_reaches_every_owner() -> None:
    assert caller(Scope.ADMIN).reach == EVERY_OWNER
    assert caller(*set(Scope) - {Scope.ADMIN}).reach == ALICE
    assert NOBODY.reach == ANONYMOUS


def test_without_authentication_no_caller_reaches_other_owners() -> None:
    assert Scope.ADMIN in ANYBODY.scopes
    assert ANYBODY.reach == ANONYMOUS
    with pytest.raises(ScopeMissing):
        ANYBODY.may_list(ALICE)


def test_without_authentication_every_owner_is_the_only_one() -> None:
    assert ANYBODY.may_list(EVERY_OWNER) == ANONYMOUS
    with pytest.raises(ScopeMissing):
        NOBODY.may_list(EVERY_OWNER)


def test_without_authentication_the_functions_of_every_owner_are_the_shared_ones() -> None:
    assert ANYBODY.may_read_functions(EVERY_OWNER) == SHARED
    for caller_, owner in ((ANYBODY, ALICE), (NOBODY, EVERY_OWNER)):
        with pytest.raises(ScopeMissing):
            caller_.may_read_functions(owner)


def test_a_caller_lists_its_own_sessions_and_an_admin_all() -> None:
    assert caller().may_list(ALICE) == ALICE
    for owner in (BOB, ANONYMOUS, EVERY_OWNER):
        assert caller(Scope.ADMIN).may_list(owner) == owner
        with pytest.raises(ScopeMissing):
            caller(Scope.EXECUTE_ALL).may_list(owner)


def test_a_caller_reads_its_own_and_shared_functions_and_an_admin_all() -> None:
    for owner in (ALICE, SHARED):
        assert caller().may_read_functions(owner) == owner
    for owner in (BOB, EVERY_OWNER):
        assert caller(Scope.ADMIN).may_read_functions(owner) == owner
        with pytest.raises(ScopeMissing) as caught:
            caller(*set(Scope) - {Scope.ADMIN}).may_read_functions(owner)
        assert caught.value.needed == (Scope.ADMIN,)


def test_shared_functions_have_a_scope_of_their_own() -> None:
    assert caller(Scope.WRITE_FUNCTIONS).may_write_functions(ALICE) == ALICE
    assert caller(Scope.WRITE_SHARED_FUNCTIONS).may_write_functions(SHARED) == SHARED
    for owner, needed in ((ALICE, Scope.WRITE_FUNCTIONS), (SHARED, Scope.WRITE_SHARED_FUNCTIONS)):
        with pytest.raises(ScopeMissing) as caught:
            caller(*set(Scope) - {needed}).may_write_functions(owner)
        assert caught.value.needed == (needed,)


@pytest.mark.parametrize("owner", [BOB, ANONYMOUS, EVERY_OWNER])
def test_nobody_changes_functions_of_another_owner(owner: Owner) -> None:
    with pytest.raises(FunctionsOfAnother) as caught:
        caller(*Scope).may_write_functions(owner)
    assert caught.value.details == {"owner": owner}
    assert "owner=shared" in caught.value.message


def test_without_authentication_functions_are_shared() -> None:
    assert caller().functions_owner == ALICE
    assert ANYBODY.functions_owner == SHARED
    assert ANYBODY.may_write_functions(SHARED) == SHARED


@pytest.mark.parametrize(
    "text", ["alice", "auth0|5f7c", "https://issuer/users/1", "a b", "ä" * 127, "x" * 255, "anonymous2"]
)
def test_an_owner_is_a_printable_name(text: str) -> None:
    assert parse_owner(text) == named_owner(text) == text


@pytest.mark.parametrize(
    "text", ["", " ", " a", "a ", "a\n", "\ta", "a\0b", "\ud800", "\u200b", "\u2028", "ä" * 128, "x" * 256]
)
def test_an_unprintable_or_too_long_text_is_no_owner(text: str) -> None:
    with pytest.raises(OwnerRefused):
        named_owner(text)
    with pytest.raises(OwnerRefused):
        parse_owner(text)


@pytest.mark.parametrize("text", ["anonymous", "ANONYMOUS", "Anonymous", "shared", "Shared", "*"])
def test_a_reserved_name_is_no_owner_of_credentials(text: str) -> None:
    with pytest.raises(OwnerRefused, match="reserved"):
        parse_owner(text)
    assert named_owner(text) == text
