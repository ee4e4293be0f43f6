"""The commands `token`, `keys` and `owners`."""

import asyncio
import json
import re
from datetime import date, timedelta

import pytest
from attrs import define, field
from click.testing import CliRunner
from dependency_injector import providers

from adapters.jwt.compact import decode_base64
from adapters.memory.api_keys import MemoryApiKeyRepository
from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from domain.access.api_key_service import ApiKeyService
from domain.access.owner_move import MoveStep, OwnedData
from domain.access.principal import Scope
from domain.errors import StorageUnavailable
from domain.identity import Owner
from domain.limits.rate import RatePolicy
from domain.scripts.language import LanguageTitle
from domain.usage import OwnerReport, QuotaUse, UsagePage, UsedDay
from entrypoints.cli.main import cli
from tests.support.acts import OPERATOR, act
from tests.support.commands import commands_with

SECRET = "s" * 32
ENV = {"DATABASE_URL": "postgresql://nobody/nothing", "HOST": None, "PORT": None, "JWT_SECRET": SECRET, "AUTH": None}


@define
class ManualMover:
    left: dict[OwnedData, int] = field(
        factory=lambda: {
            OwnedData.SESSIONS: 3,
            OwnedData.KEYS: 1,
            OwnedData.HISTORY: 20,
            OwnedData.FUNCTIONS: 2,
            OwnedData.WEBHOOKS: 1,
            OwnedData.FILES: 2,
            OwnedData.SECRETS: 2,
        }
    )
    busy: int = 0
    shared_titles: tuple[LanguageTitle, ...] = ()
    calls: list[tuple[Owner, ...]] = field(factory=list)
    failure: Exception | None = None

    async def count(self, owner):
        if self.failure is not None:
            raise self.failure
        self.calls.append((owner,))
        return dict(self.left)

    async def collisions(self, source, target):
        return self.shared_titles

    async def move(self, source, target, act, *, functions):
        self.calls.append((source, target))
        skipped = {} if functions else {OwnedData.FUNCTIONS: self.left[OwnedData.FUNCTIONS]}
        for part, number in self.left.items():
            yield MoveStep(part, number, number)
        self.left = dict.fromkeys(OwnedData, 0) | {OwnedData.SESSIONS: self.busy} | skipped


@define
class ManualPurger:
    left: dict[OwnedData, int] = field(
        factory=lambda: dict(zip(OwnedData, (3, 1, 20, 2, 1, 4, 5, 2, 0, 6), strict=True))
    )
    stays: dict[OwnedData, int] = field(factory=lambda: dict.fromkeys(OwnedData, 0))
    purged: list[Owner] = field(factory=list)

    async def count(self, owner):
        return dict(self.left)

    async def purge(self, owner, act):
        self.purged.append(owner)
        for part, number in self.left.items():
            yield MoveStep(part, number, number)
        self.left = self.stays


@define
class ManualUsage:
    """Two pages of reports for all owners, one report for one owner."""

    observed: dict[str, int] = field(factory=lambda: {"live_sessions": 1500, "stored_bytes": 4096, "functions": 2})
    pages: list[tuple[Owner, Owner | None, int]] = field(factory=list)

    def report(self, owner, *days, complete=True):
        quotas = [QuotaUse(limit, number, None) for limit, number in self.observed.items()]
        return OwnerReport(Owner(owner), quotas, [(RatePolicy("execute", 1, 1), 1)], days, complete)

    async def page(self, caller, owner, after, size):
        self.pages.append((owner, after, size))
        assert caller.may_list(owner) == owner
        days = [UsedDay(date(2026, 11, day), 1000, 10 * day, 0, 9.5, 1500.0) for day in (1, 2)]
        if owner != "*":
            return UsagePage([self.report(owner, *days)], None, None)
        if not after:
            return UsagePage([self.report("alice", *days)], None, Owner("alice"))
        return UsagePage([self.report("bob", complete=False)], None, None)


@define
class World:
    clock: ManualClock = field(factory=ManualClock)
    repository: MemoryApiKeyRepository = field(factory=MemoryApiKeyRepository)
    mover: ManualMover = field(factory=ManualMover)
    purger: ManualPurger = field(factory=ManualPurger)
    usage: ManualUsage = field(factory=ManualUsage)
    ids: SequentialIds = field(factory=SequentialIds)

    @property
    def keys(self):
        return ApiKeyService(self.clock, self.ids, self.repository, lambda: "s3cret" + "x" * 37, OPERATOR)

    @property
    def container(self):
        return commands_with(
            keys=self.keys,
            owner_mover=self.mover,
            owner_purger=self.purger,
            usage=self.usage,
            audit=self.repository.audit,
            new_act=providers.Object(act),
        )


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def run(world: World):
    return lambda *arguments, env=ENV: CliRunner().invoke(cli, arguments, obj=world.container, env=env)


def claims_of(token):
    claims = json.loads(decode_base64(token.split(".")[1]))
    return claims["sub"], claims["scope"], claims["exp"] - claims["iat"]


def test_a_token_is_printed_alone(run):
    result = run("token", "--owner", "alice", "--scope", "admin", "--scope", "execute:python", "--expires-in", "15m")
    assert claims_of(result.stdout.removesuffix("\n")) == ("alice", "admin execute:python", 900)


def test_the_json_output_has_the_lifetime_of_the_token(run):
    result = run("token", "--owner", "alice", "--scope", "execute:all", "--scope", "admin", "--output", "json")
    facts = json.loads(result.stdout)
    assert claims_of(facts.pop("token")) == ("alice", "admin execute:all", 3600)
    assert facts == {"owner": "alice", "scopes": ["admin", "execute:all"], "expires_in_seconds": 3600}


def test_without_a_secret_the_command_makes_no_token_and_names_the_setting(run):
    result = run("token", "--owner", "alice", "--scope", "admin", env={**ENV, "JWT_SECRET": None})
    assert result.exit_code == 1
    assert "JWT_SECRET" in result.stderr
    assert result.stdout == ""


def test_a_public_key_signs_no_token(run):
    public = "-----BEGIN PUBLIC KEY-----" + "x" * 32
    result = run("token", "--owner", "alice", "--scope", "admin", env={**ENV, "JWT_SECRET": public})
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: JWT_SECRET: ")
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--owner", "anonymous", "--scope", "admin"), "'anonymous' is reserved"),
        (("--owner", "shared", "--scope", "admin"), "'shared' is reserved"),
        (("--owner", "*", "--scope", "admin"), "'*' is reserved"),
        (("--owner", "a\nb", "--scope", "admin"), "printable"),
        (("--owner", "x" * 256, "--scope", "admin"), "at most 255 bytes"),
        (("--owner", "alice"), "Missing option '--scope'"),
        (("--owner", "alice", "--scope", "root"), "Invalid value for '--scope'"),
        (("--owner", "alice", "--scope", "admin", "--expires-in", "soon"), "not a length of time"),
        (("--owner", "alice", "--scope", "admin", "--expires-in", "0m"), "not a length of time"),
        (("--owner", "alice", "--scope", "admin", "--expires-in", "3661d"), "up to ten years"),
    ],
)
@pytest.mark.parametrize("command", [("token",), ("keys", "create")], ids=" ".join)
def test_a_wrong_argument_is_a_message(run, command, arguments, message):
    result = run(*command, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_key_is_shown_once_and_its_secret_never_again(run, world):
    made = run("keys", "create", "--owner", "alice", "--scope", "execute:all", "--expires-in", "90d")
    (key,) = world.repository.keys.values()
    text = f"pgl_{key.key_id.hex}_s3cret"
    assert text in made.stdout
    assert "not shown again" in made.stderr
    assert re.search("expires at +2026-04-02T03:04:05Z", made.stdout)
    for arguments in (("list",), ("list", "--output", "json"), ("revoke", key.key_id.hex, "--yes")):
        shown = run("keys", *arguments)
        assert shown.exit_code == 0
        assert "s3cret" not in shown.output
        assert key.secret_hash.hex() not in shown.output


def test_a_key_as_json(run, world):
    made = run("keys", "create", "--owner", "alice", "--scope", "admin", "--output", "json")
    facts = json.loads(made.stdout)
    (key,) = world.repository.keys.values()
    assert facts == {
        "key": f"pgl_{key.key_id.hex}_s3cret{'x' * 37}",
        "id": key.key_id.hex,
        "owner": "alice",
        "scopes": ["admin"],
        "created_at": "2026-01-02T03:04:05Z",
        "expires_at": None,
        "revoked_at": None,
        "last_used_at": None,
    }


def test_keys_are_listed_newest_first_of_all_owners_or_of_one(run, world):
    for owner in ("alice", "bob", "alice"):
        run("keys", "create", "--owner", owner, "--scope", "admin")
        world.clock.advance(timedelta(seconds=1))
    listed = json.loads(run("keys", "list", "--output", "json").stdout)
    assert [each["owner"] for each in listed] == ["alice", "bob", "alice"]
    assert [each["created_at"][-3:] for each in listed] == ["07Z", "06Z", "05Z"]
    table = run("keys", "list", "--owner", "bob").stdout.splitlines()
    assert re.split(" {2,}", table[0].strip()) == [
        "id", "owner", "scopes", "created at", "expires at", "revoked at", "last used at",
    ]  # fmt: skip
    assert len(table) == 2
    assert run("keys", "list", "--owner", "carol").stdout == "No keys.\n"


def test_keys_are_listed_that_end_soon_or_that_nobody_uses(run, world):
    def listed(*options):
        return [each["owner"] for each in json.loads(run("keys", "list", "--output", "json", *options).stdout)]

    for owner, lifetime in (("alice", ()), ("bob", ("--expires-in", "100d")), ("carol", ("--expires-in", "1d"))):
        run("keys", "create", "--owner", owner, "--scope", "admin", *lifetime)
    world.clock.advance(timedelta(days=90))
    (alice, *_) = world.repository.keys
    asyncio.run(world.repository.record_uses({alice: world.clock.now()}))
    assert listed("--unused-for", "90d") == ["bob"]
    assert listed("--unused-for", "91d") == []
    assert listed("--expires-within", "10d") == ["bob"]
    assert listed("--expires-within", "9d") == []


def test_every_page_of_keys_is_listed(run, world):
    async def create():
        for n in range(203):
            await world.keys.create(Owner(f"o{n}"), frozenset({Scope.ADMIN}), None)

    asyncio.run(create())
    assert len(json.loads(run("keys", "list", "--output", "json").stdout)) == 203


@pytest.mark.parametrize("spell", ["{0.hex}", "{0}", "pgl_{0.hex}_secret", "pgl_{0.hex}"])
def test_a_key_is_revoked_by_its_id_or_by_its_text(run, world, spell):
    run("keys", "create", "--owner", "alice", "--scope", "admin")
    (key_id,) = world.repository.keys
    result = run("keys", "revoke", spell.format(key_id), "--yes")
    assert result.stdout == f"Revoked {key_id.hex} of alice. Running controllers reject it within 5 seconds.\n"
    assert world.repository.keys[key_id].revoked_at == world.clock.now()


def test_a_key_is_not_revoked_without_consent(run, world):
    run("keys", "create", "--owner", "alice", "--scope", "admin")
    (key_id,) = world.repository.keys
    refused = run("keys", "revoke", key_id.hex)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr == (
        f"Error: This revokes 1 API key: {key_id.hex} of alice (admin).\n"
        "Nothing was changed. To allow this, add --yes.\n"
    )
    shown = run("keys", "revoke", key_id.hex, "--dry-run")
    assert (shown.exit_code, shown.stdout) == (0, f"Would revoke 1 API key: {key_id.hex} of alice (admin).\n")
    assert world.repository.keys[key_id].revoked_at is None


def test_revoking_a_key_again_changes_nothing_and_needs_no_consent(run, world):
    run("keys", "create", "--owner", "alice", "--scope", "admin")
    (key_id,) = world.repository.keys
    run("keys", "revoke", key_id.hex, "--yes")
    first_at = world.clock.now()
    world.clock.advance(timedelta(hours=1))
    again = run("keys", "revoke", key_id.hex, "--output", "json")
    assert json.loads(again.stdout)["revoked_at"] == "2026-01-02T03:04:05Z"
    assert world.repository.keys[key_id].revoked_at == first_at


@pytest.mark.parametrize(
    ("text", "status", "message"), [("0" * 32, 1, "pglambda keys list"), ("what", 2, "neither the id of a key")]
)
def test_an_unknown_key_is_a_message(run, text, status, message):
    result = run("keys", "revoke", text, "--yes")
    assert result.exit_code == status
    assert message in result.stderr


def test_owners_are_moved_with_a_summary(run, world):
    result = run("owners", "move", "anonymous", "alice", "--yes")
    assert result.exit_code == 0
    assert (
        result.stdout
        == "Moved 3 sessions, 1 idempotency key, 20 executions in the history, 2 functions, 1 webhook, 2 files, 2 secrets.\n"
    )
    assert ("anonymous", "alice") in world.mover.calls


def test_owners_are_not_moved_without_consent(run, world):
    result = run("owners", "move", "anonymous", "alice")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "Error: This moves 3 sessions, 1 idempotency key, 20 executions in the history, 2 functions, 1 webhook, 2 files, 2 secrets from anonymous to "
        "alice.\n"
        "Nothing was changed. To allow this, add --yes.\n"
    )
    assert world.mover.calls == [("anonymous",)]


def test_an_owner_without_data_needs_no_consent(run, world):
    world.mover.left = dict.fromkeys(OwnedData, 0)
    assert run("owners", "move", "anonymous", "alice").exit_code == 0


def test_a_dry_run_counts_and_moves_nothing(run, world):
    result = run("owners", "move", "anonymous", "alice", "--dry-run")
    assert (
        result.stdout
        == "Would move 3 sessions, 1 idempotency key, 20 executions in the history, 2 functions, 1 webhook, 2 files, 2 secrets.\n"
    )
    assert world.mover.calls == [("anonymous",)]
    counted = json.loads(run("owners", "move", "anonymous", "alice", "--dry-run", "--output", "json").stdout)
    assert counted == {
        "before": {
            "sessions": 3,
            "idempotency_keys": 1,
            "history": 20,
            "functions": 2,
            "webhooks": 1,
            "files": 2,
            "secrets": 2,
        }
    }


def test_a_rest_is_listed_and_sets_the_exit_status(run, world):
    world.mover.busy = 2
    result = run("owners", "move", "anonymous", "alice", "--yes")
    assert result.exit_code == 1
    assert "Left: 2 sessions" in result.stdout
    assert "Run the command again" in result.stdout
    world.mover.busy = 0
    moved = json.loads(run("owners", "move", "anonymous", "alice", "--yes", "--output", "json").stdout)
    left = {
        "sessions": 0,
        "idempotency_keys": 0,
        "history": 0,
        "functions": 0,
        "webhooks": 0,
        "schedules": 0,
        "files": 0,
        "egress_rules": 0,
        "secrets": 0,
    }
    assert moved["after"] == left


def test_source_and_target_must_differ(run, world):
    result = run("owners", "move", "alice", "alice")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Invalid value for TARGET: must not be the same as SOURCE" in result.stderr
    assert world.mover.calls == []


def test_nothing_is_moved_if_both_owners_have_a_function_of_one_title(run, world):
    world.mover.shared_titles = (LanguageTitle.of("python-x"), LanguageTitle.of("python-y"))
    result = run("owners", "move", "alice", "bob")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Both alice and bob have functions" in result.stderr
    assert "nothing was moved: python-x, python-y. Add --skip-functions" in result.stderr
    assert world.mover.calls == []


def test_functions_can_be_left_with_the_source(run, world):
    world.mover.shared_titles = (LanguageTitle.of("python-x"),)
    result = run("owners", "move", "alice", "bob", "--skip-functions", "--yes")
    assert (result.exit_code, result.stdout) == (
        0,
        "Moved 3 sessions, 1 idempotency key, 20 executions in the history, 1 webhook, 2 files, 2 secrets.\n",
    )
    assert world.mover.left[OwnedData.FUNCTIONS] == 2


@pytest.mark.parametrize("target", ["anonymous", "shared", "*", ""])
def test_nothing_is_moved_to_a_reserved_owner(run, world, target):
    assert run("owners", "move", "alice", target).exit_code == 2
    assert world.mover.calls == []


def test_an_unreachable_database_is_one_line(run, world):
    world.mover.failure = world.repository.failure = StorageUnavailable()
    for arguments in (("owners", "move", "anonymous", "alice"), ("keys", "list")):
        result = run(*arguments)
        assert result.exit_code == 1
        assert result.stderr == f"Error: {StorageUnavailable()} Run `pglambda doctor` to see why.\n"


def test_acts_on_keys_are_listed_newest_first(run):
    key_id = json.loads(run("keys", "create", "--owner", "alice", "--scope", "execute:all", "--output", "json").stdout)[
        "id"
    ]
    run("keys", "revoke", key_id, "--yes")
    found = json.loads(run("audit", "--output", "json").stdout)
    assert [(each["act"], each["actor"], each["origin"], each["owner"]) for each in found] == [
        ("keys.revoke", "root@example", "cli", "alice"),
        ("keys.create", "root@example", "cli", "alice"),
    ]
    assert {each["subject"].replace("-", "") for each in found} == {key_id}
    assert [each["act"] for each in json.loads(run("audit", "--limit", "1", "--output", "json").stdout)] == [
        "keys.revoke"
    ]


def test_the_table_of_acts_has_a_line_for_each(run):
    run("keys", "create", "--owner", "alice", "--scope", "execute:all")
    head, line = run("audit").stdout.splitlines()
    assert head.split() == ["at", "actor", "origin", "act", "owner", "subject", "details"]
    assert line.split()[1:5] == ["root@example", "cli", "keys.create", "alice"]


def test_without_acts_the_command_says_so(run):
    assert run("audit").stdout == "No acts.\n"


AMOUNT = (
    "3 sessions, 1 idempotency key, 20 executions in the history, 2 functions, 1 webhook, 4 schedules, 5 files, "
    "2 egress rules, 0 secrets, 6 environments"
)


def test_an_owner_is_purged_with_a_summary(run, world):
    result = run("owners", "purge", "alice", "--yes")
    assert (result.exit_code, result.stdout) == (0, f"Purged {AMOUNT}.\n")
    assert world.purger.purged == ["alice"]


def test_an_owner_is_not_purged_without_consent(run, world):
    result = run("owners", "purge", "alice")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"Error: This erases {AMOUNT} of alice.\nNothing was changed.")
    assert world.purger.purged == []


def test_a_dry_run_of_a_purge_counts_and_erases_nothing(run, world):
    assert run("owners", "purge", "alice", "--dry-run").stdout == f"Would purge {AMOUNT}.\n"
    assert world.purger.purged == []


def test_what_a_purge_leaves_is_listed_and_sets_the_exit_status(run, world):
    world.purger.stays = dict.fromkeys(OwnedData, 0) | {OwnedData.FUNCTIONS: 1}
    result = run("owners", "purge", "alice", "--yes")
    assert result.exit_code == 1
    left = (
        "Left: 0 sessions, 0 idempotency keys, 0 executions in the history, 1 function, 0 webhooks, 0 schedules, "
        "0 files, 0 egress rules, 0 secrets, 0 environments."
    )
    assert left in result.stdout


@pytest.mark.parametrize("owner", ["shared", "*"])
def test_shared_functions_and_all_owners_are_not_purged(run, world, owner):
    assert run("owners", "purge", owner, "--yes").exit_code == 2
    assert world.purger.purged == []


def test_the_usage_of_all_owners_is_listed_page_by_page(run, world):
    assert run("owners", "usage").stdout.splitlines() == [
        "owner  sessions  stored bytes  functions  executions  failed  CPU s",
        "alice     1,500         4,096          2       2,000      30    3.0",
        "bob      1,500+        4,096+         2+           0       0    0.0",
    ]
    assert world.usage.pages == [("*", "", 50), ("*", "alice", 50)]


def test_a_limit_ends_the_list_of_usage(run, world):
    assert len(run("owners", "usage", "--limit", "1").stdout.splitlines()) == 2
    assert world.usage.pages == [("*", "", 1)]


def test_the_usage_of_one_owner_is_printed_for_programs(run):
    (found,) = json.loads(run("owners", "usage", "alice", "--output", "json").stdout)
    assert (found["owner"], found["complete"]) == ("alice", True)
    assert found["quotas"]["stored_bytes"] == {"observed": 4096, "allowed": None}
    assert found["days"][1] == {
        "day": "2026-11-02",
        "executions": 1000,
        "failed": 20,
        "unknown": 0,
        "execution_time_ms": 9.5,
        "cpu_time_ms": 1500.0,
        "connections": 0,
        "sent_bytes": 0,
        "received_bytes": 0,
    }
