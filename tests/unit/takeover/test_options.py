"""A later command finds the choice of the operator as it was made."""

import json

import pytest

from domain.identity import Owner
from domain.takeover.languages import MappingRule, OriginLanguages, OriginRuntime
from domain.takeover.options import TakeoverOptions
from domain.takeover.owners import AnonymousOwner, LabelOwner, ListedOwner
from domain.takeover.source_session import Expired, Scriptless

RULES = (
    MappingRule("^js-", OriginRuntime.NODEJS, is_regex=True),
    MappingRule("rs", OriginRuntime.RUST, is_regex=False),
)
OWNERS = [
    AnonymousOwner(),
    LabelOwner(Owner("rest")),
    ListedOwner({"a\t": Owner("alice"), "": Owner("nobody")}),
    ListedOwner({}, Owner("rest")),
]


@pytest.mark.parametrize("owners", OWNERS)
@pytest.mark.parametrize("rules", [(), RULES])
def test_a_stored_choice_is_read_as_it_was(owners, rules):
    options = TakeoverOptions(owners, OriginLanguages(rules), Expired.NONE, Scriptless.PIN, honours_status=True)
    stored = json.loads(json.dumps(options.stored()))
    assert TakeoverOptions.of(stored) == options


def test_the_mapping_rules_are_stored_in_the_form_of_their_file():
    options = TakeoverOptions(
        AnonymousOwner(), OriginLanguages(RULES), Expired.ALL, Scriptless.LEAVE, honours_status=False
    )
    assert options.stored()["mappings"] == [
        {"pattern": "^js-", "runtime_type": "nodejs", "is_regex": True},
        {"pattern": "rs", "runtime_type": "rust", "is_regex": False},
    ]
