"""The command `migrate distribute` says what it does, and where Citus has put each bucket."""

import json
from datetime import UTC, datetime

from attrs import define, field
from click.testing import CliRunner, Result

from adapters.postgres.migrations.buckets import BucketSchema, ClusterNode
from adapters.postgres.migrations.distribution import DistributionPlan, MadeBucket, new_numbers
from domain.inspection import BucketLocation
from entrypoints.cli.main import cli
from tests.unit.cli.test_main import ENV, commands_with

KNOWN = [BucketSchema(1, "bucket_1", datetime(2026, 1, 2, tzinfo=UTC))]
NODES = [ClusterNode(group, f"db{group}", 5432, 0, "logical", 90) for group in (1, 2)]


@define
class ManualDistribution:
    """Makes buckets whose shards have the numbers of a test."""

    wanted: list[int | None] = field(factory=list)

    async def plan(self, wanted):
        self.wanted.append(wanted)
        return DistributionPlan("14.0-1", NODES, KNOWN, new_numbers(wanted, KNOWN, len(NODES)), 7, 2**20)

    async def run(self, plan, report):
        for number in plan.numbers:
            report(MadeBucket(number, BucketLocation([f"db{number}:5432"], 102000 + number)))


def run(*options: str, distribution: ManualDistribution | None = None) -> Result:
    container = commands_with(distribution=distribution or ManualDistribution())
    return CliRunner().invoke(cli, ["migrate", "distribute", *options], obj=container, env=ENV)


def test_each_bucket_that_was_made_is_shown_with_its_shard_and_its_node():
    lines = run("--buckets", "3").output.splitlines()
    assert lines[-3:-1] == [
        "Made bucket 2 (1 of 2), shard 102002 on db2:5432.",
        "Made bucket 3 (2 of 2), shard 102003 on db3:5432.",
    ]
    made = json.loads(run("--buckets", "2", "--output", "json").output)["made"]
    assert made == [{"bucket": 2, "nodes": ["db2:5432"], "shard": 102002}]
    assert json.loads(run("--dry-run", "--output", "json").output)["made"] == []


def test_the_number_of_buckets_has_a_limit():
    distribution = ManualDistribution()
    for given in ("256", "0"):
        refused = run("--buckets", given, distribution=distribution)
        assert refused.exit_code == 2
        assert f"Invalid value for '--buckets': {given} is not in the range 1<=x<=255" in refused.output
    assert run("--buckets", "255", "--dry-run", distribution=distribution).exit_code == 0
    assert run("--dry-run", distribution=distribution).exit_code == 0
    assert distribution.wanted == [255, None]


def test_a_dry_run_states_the_rows_that_stay_the_time_and_the_pause():
    planned = run("--buckets", "3", "--dry-run").output
    assert "`meta` keeps its 7 rows (1 MiB): nothing is copied." in planned
    assert "New buckets: 2, 3. This takes about 20 s." in planned
    assert "New sessions get them 65 s after that. For 9 s more (twice REQUEST_TIMEOUT_MS, and 5 s) a call" in planned
    assert planned.rstrip().endswith("Nothing was changed.")
