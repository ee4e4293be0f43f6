"""The command `egress`."""

import asyncio
import json

import pytest
from attrs import define, field
from click.testing import CliRunner

from adapters.memory.egress_rules import MemoryOwnerRules
from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from domain.egress.owner_rule_service import OwnerRuleService
from domain.egress.rule import EgressRule
from domain.errors import StorageUnavailable
from domain.identity import Owner
from entrypoints.cli.main import cli
from tests.support.acts import OPERATOR
from tests.support.commands import commands_with

ENV = {"DATABASE_URL": "postgresql://nobody/nothing", "EGRESS": "owners"}
RULE = "api.example.com:443"


@define
class World:
    rules: MemoryOwnerRules = field(factory=MemoryOwnerRules)
    ids: SequentialIds = field(factory=SequentialIds)

    def service(self):
        return OwnerRuleService(ManualClock(), self.ids, self.rules, OPERATOR)

    def run(self, *arguments, **env):
        container = commands_with(egress_rules=self.service(), audit=self.rules.audit)
        return CliRunner().invoke(cli, ["egress", *arguments], obj=container, env={**ENV, **env})

    def texts(self):
        return [text for _, text in self.rules.rules]


@pytest.fixture
def world():
    return World()


def test_a_rule_is_allowed_listed_and_denied(world):
    assert world.run("allow", "alice", RULE).stdout == f"Allowed scripts of alice to reach {RULE}.\n"
    assert world.run("allow", "anonymous", "*:443").exit_code == 0
    assert [each["owner"] for each in json.loads(world.run("list", "--output", "json").stdout)] == [
        "alice",
        "anonymous",
    ]
    header, line = world.run("list", "alice").stdout.splitlines()
    assert (header.split(), line.split()[:2]) == (["owner", "rule", "created", "at"], ["alice", RULE])
    assert world.run("deny", "alice", RULE).stdout == f"Removed {RULE} of alice.\n"
    assert world.run("list", "alice").stdout == "No rules.\n"
    acts = [(entry.act, entry.owner, entry.subject) for entry in world.rules.audit.entries.values()]
    assert acts == [
        ("egress.allow", "alice", RULE),
        ("egress.allow", "anonymous", "*:443"),
        ("egress.deny", "alice", RULE),
    ]


def test_what_changes_nothing_says_so(world):
    world.run("allow", "alice", RULE)
    assert world.run("allow", "alice", RULE).stdout == (f"alice has the rule {RULE} already, so nothing was changed.\n")
    result = world.run("deny", "bob", RULE, "--output", "json")
    assert json.loads(result.stdout) == {"owner": "bob", "rule": RULE, "changed": False}
    assert world.run("deny", "bob", RULE).stdout == f"bob has no rule {RULE}, so nothing was changed.\n"


def test_a_dry_run_changes_nothing(world):
    shown = world.run("allow", "alice", RULE, "--dry-run")
    assert (shown.stdout, world.texts()) == (f"Would allow scripts of alice to reach {RULE}.\n", [])
    world.run("allow", "alice", RULE)
    again = world.run("allow", "alice", RULE, "--dry-run").stdout
    assert again == f"alice has the rule {RULE} already, so nothing would be changed.\n"
    assert world.run("deny", "alice", RULE, "--dry-run").stdout == f"Would remove {RULE} of alice.\n"
    assert world.texts() == [RULE]


@pytest.mark.parametrize(
    ("owner", "rule", "message"),
    [
        ("shared", RULE, "shared has no sessions. Use EGRESS_RULES"),
        ("*", RULE, "* has no sessions. Use EGRESS_RULES"),
        ("a\nb", RULE, "printable"),
        ("alice", "example.com", "it must be NAME:PORT"),
        ("alice", "Example.com:443", "lower case"),
    ],
)
def test_wrong_arguments_are_refused(world, owner, rule, message):
    result = world.run("allow", owner, rule)
    assert (result.exit_code, world.texts()) == (2, [])
    assert message in result.stderr


def test_every_page_is_listed(world):
    async def allow_all():
        for number in range(203):
            await world.service().allow(Owner("alice"), EgressRule.parse(f"a{number}.test:443"))

    asyncio.run(allow_all())
    assert len(json.loads(world.run("list", "--output", "json").stdout)) == 203


def test_without_the_setting_a_note_says_that_the_rules_do_not_count(world):
    result = world.run("allow", "alice", RULE, EGRESS="rules")
    assert (result.exit_code, world.texts()) == (0, [RULE])
    assert "only for controllers and runtime hosts with EGRESS=owners" in result.stderr
    assert world.run("list").stderr == ""


def test_too_many_rules_and_a_database_that_is_away_are_errors(world):
    world.rules.rules_max = 0
    result = world.run("allow", "alice", RULE)
    assert (result.exit_code, "alice has 0 egress rules, which is the limit" in result.stderr) == (1, True)
    world.rules.failure = StorageUnavailable()
    assert world.run("list").exit_code == 1
