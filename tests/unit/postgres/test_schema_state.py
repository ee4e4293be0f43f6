"""What a release makes of a schema that is older, newer or another than its own."""

from datetime import UTC, datetime

import pytest

from adapters.postgres.migrations.migration import AppliedMigration, Migration, MigrationsDiffer, SchemaState

STEPS = [Migration(number, f"step{number}", f"SELECT {number}", "") for number in range(1, 4)]
LATEST = STEPS[-1].version


AT = datetime(2026, 1, 1, tzinfo=UTC)


def applied(*versions):
    """Return applied steps with the content of this release."""
    return [AppliedMigration(number, f"step{number}", STEPS[number - 1].checksum, AT) for number in versions]


def foreign(version, beside=None):
    """Return an applied step with another content."""
    return AppliedMigration(version, "next", "another", AT, beside)


def test_an_older_schema_has_pending_steps():
    found = SchemaState.of(STEPS, applied(1))
    assert found.pending == STEPS[1:]
    found.require_latest()


@pytest.mark.parametrize("beside", [1, LATEST])
def test_a_release_works_beside_a_newer_step_that_allows_it(beside):
    found = SchemaState.of(STEPS, [*applied(1, 2, 3), foreign(4, beside)])
    assert [str(each) for each in found.newer] == ["0004_next"]
    found.require_usable()
    with pytest.raises(MigrationsDiffer, match="migrate down to 3"):
        found.require_latest()


@pytest.mark.parametrize("beside", [None, LATEST + 1])
def test_a_release_refuses_a_newer_step_beside_which_it_does_not_work(beside):
    found = SchemaState.of(STEPS, [*applied(1, 2, 3), foreign(5, beside)])
    assert [str(each) for each in found.unknown] == ["0005_next"]
    with pytest.raises(MigrationsDiffer, match=r"0005_next, .* the latest of this release is 0003_step3"):
        found.require_usable()


def test_a_release_refuses_an_unknown_step_among_its_own():
    found = SchemaState.of([STEPS[0], STEPS[2]], [*applied(1, 3), foreign(2, 1)])
    assert [each.version for each in found.unknown] == [2]


def test_a_release_refuses_a_step_with_another_content():
    found = SchemaState.of(STEPS, [*applied(1, 3), foreign(2)])
    with pytest.raises(MigrationsDiffer, match="0002_next has changed"):
        found.require_usable()


def test_a_step_declares_beside_which_releases_it_works():
    assert Migration(4, "next", "-- works beside 0003\nSELECT 1", "").works_beside == 3
    assert Migration(4, "next", "SELECT 1", "").works_beside is None
