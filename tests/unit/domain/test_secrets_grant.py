"""The grant of secrets, and limits to functions."""

from uuid import UUID

import pytest

from domain.grants.grants import Grants
from domain.grants.secrets import SecretsGrant
from domain.scripts.language import Language, LanguageTitle
from domain.secrets.secret import FunctionLimit


def test_the_text_of_the_grant_is_read_as_it_was_written():
    grants = Grants(secrets=SecretsGrant(("B", "A_1")))
    assert grants.text() == '{"secrets":{"names":["B","A_1"]}}'
    assert Grants.of(grants.text()) == grants


def test_each_problem_has_its_place():
    names = ("A", "lower", "A", *(f"N{number}" for number in range(14)))
    found = {each.pointer: each.message for each in SecretsGrant(names).problems(Language.PYTHON)}
    assert found.keys() == {"", "/1", "/2"}
    assert found[""] == "names 17 secrets; the limit is 16"
    assert list(SecretsGrant(("A" * 64, "B_9")).problems(Language.PYTHON)) == []


def test_a_request_may_name_secrets_of_the_function_only():
    (problem,) = SecretsGrant(("A", "B")).excess(SecretsGrant(("A", "C")))
    assert (problem.pointer, "does not grant B" in problem.message) == ("/1", True)


@pytest.mark.parametrize("owner", ["alice", "a/b/c@d"])
@pytest.mark.parametrize("version", [None, 3])
def test_a_limit_to_a_function_is_read_as_it_was_written(owner, version):
    limit = FunctionLimit(UUID(int=1), owner, LanguageTitle.of("python-a-b"), version)
    assert FunctionLimit.of(limit.function_id, str(limit)) == limit
