"""The findings about buckets."""

import pytest
from attrs import evolve

from domain.inspection import BucketFacts, BucketLocation, NodeFacts
from entrypoints.cli.doctor.buckets import judge_buckets
from entrypoints.cli.doctor.report import Level
from tests.unit.cli.doctor.facts import seen, settings_of

BUCKET = BucketFacts("bucket_1", BucketLocation(["db1:5432"], 102040), [])
NODE = NodeFacts("db1:5432", 90)
SETTINGS = settings_of(DATABASE_NODES="auto")


def test_a_plain_database_has_no_finding():
    assert judge_buckets(([], []), settings_of()) == []


def test_buckets_with_all_migrations_on_nodes_that_respond_are_ok():
    assert seen(judge_buckets(([BUCKET], [NODE]), SETTINGS), Level.OK) == [
        "1 buckets have all migrations, and all 1 nodes respond",
        "the node db1:5432 has bucket_1 (shard 102040)",
    ]


def test_a_node_shows_its_first_buckets():
    found = judge_buckets(([evolve(BUCKET, schema=f"bucket_{n}") for n in range(1, 19)], [NODE]), SETTINGS)
    assert seen(found, Level.OK)[1].endswith("bucket_16 (shard 102040), and 2 more: see `pglambda migrate status`")


@pytest.mark.parametrize(
    ("bucket", "text"),
    [
        (evolve(BUCKET, pending=["0099_more"]), "bucket_1 lacks migrations: 0099_more"),
        (
            BucketFacts("bucket_1", BucketLocation(["a:1", "b:2"], 5), []),
            "the tables of bucket_1 (shard 5 on a:1 and b:2) do not lie on one node",
        ),
        (BucketFacts("bucket_1", BucketLocation(), []), "the tables of bucket_1 (on no node) do not lie on one node"),
    ],
)
def test_a_bucket_that_cannot_be_served_is_a_problem(bucket, text):
    assert seen(judge_buckets(([bucket], [NODE]), SETTINGS), Level.PROBLEM) == [text]


def test_a_node_that_does_not_respond_is_a_problem_and_one_that_is_nearly_full_a_warning():
    found = judge_buckets(([BUCKET], [NodeFacts("a:1", None, reason="no route"), NodeFacts("b:2", 9)]), SETTINGS)
    assert seen(found, Level.PROBLEM) == ["the node a:1 does not respond to the coordinator: no route"]
    assert seen(found, Level.WARNING) == ["the node b:2 has 9 free connections"]


def test_a_node_whose_clock_is_more_than_a_second_off_is_a_warning():
    nodes = [NodeFacts("a:1", 90, 0.0), NodeFacts("b:2", 90, -999.0), NodeFacts("c:3", 90, -60_000.0)]
    assert seen(judge_buckets(([BUCKET], nodes), SETTINGS), Level.WARNING) == [
        "the clock of the node c:3 is -60.0 s off the coordinator's"
    ]


def test_buckets_whose_nodes_the_service_does_not_know_are_a_problem():
    assert seen(judge_buckets(([BUCKET], [NODE]), settings_of()), Level.PROBLEM) == [
        "the database has buckets, and DATABASE_NODES is not set"
    ]
