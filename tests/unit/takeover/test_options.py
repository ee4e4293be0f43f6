"""A later command finds the choice of the operator as it was made."""

import json
from datetime import timedelta

import pytest

from domain.identity import Owner
from domain.scripts.limits import Isolation, Limits
from domain.takeover.languages import MappingRule, OriginLanguages, OriginRuntime
from domain.takeover.options import TakeoverOptions
from domain.takeover.owners import AnonymousOwner, LabelOwner, ListedOwner
from domain.takeover.source_session import Expired, Scriptless, TakeoverPolicy
from entrypoints.composition.takeover import takeover_policy
from entrypoints.settings.loading import load_settings

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


def test_sessions_are_taken_within_the_settings_and_run_with_the_largest_limits():
    settings = load_settings(
        {
            "SCRIPT_TIMEOUT_MS": "29000",
            "SCRIPT_MEMORY_MAX_MB": "640",
            "ISOLATION": "process",
            "SESSION_MAX_LIFETIME_SECONDS": "7000",
            "SESSION_RETENTION_SECONDS": "800",
            "MAX_SCRIPT_SIZE": "9000",
            "MAX_CONTEXT_SIZE": "1000",
        }
    )
    options = TakeoverOptions(OWNERS[1], OriginLanguages(RULES), Expired.NONE, Scriptless.PIN, honours_status=True)
    assert takeover_policy(settings, options) == TakeoverPolicy(
        languages=OriginLanguages(RULES),
        owners=OWNERS[1],
        limits=Limits(29_000, 640, Isolation.PROCESS),
        lifetime_max=timedelta(seconds=7000),
        retention=timedelta(seconds=800),
        script_size_max=9000,
        context_size_max=1000,
        expired=Expired.NONE,
        scriptless=Scriptless.PIN,
        honours_status=True,
    )
