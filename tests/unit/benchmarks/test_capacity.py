"""What the model of machines makes of measured costs."""

import pytest

from tests.benchmarks.capacity import CallModel, Cost, Machine, Measured, Part, Plan, Site, differences

US = {Part.CONTROLLERS: 200.0, Part.POSTGRESQL: 100.0, Part.WORKERS: 300.0}
MACHINE = Machine(cores=10, share_max=0.6)


def measured(callers: int, batch: float) -> Measured:
    """Return a load whose call takes 50 us, and whose statement takes 400."""
    return Measured(callers, batch, dict.fromkeys(Part, 50 + 400 / batch))


def test_the_costs_of_a_call_and_of_a_statement_are_told_apart():
    cost = Cost.fitted([(batch, 50 + 400 / batch) for batch in (2.0, 4.0, 10.0)])
    assert (cost.call_us, cost.statement_us) == pytest.approx((50, 400))
    assert cost.us(8) == pytest.approx(100)


@pytest.mark.parametrize(
    ("points", "cost"),
    [
        ([(4.0, 70.0), (4.0, 90.0)], Cost(80, 0)),
        ([(2.0, 60.0), (4.0, 90.0)], Cost(75, 0)),
        ([(1.0, 100.0), (2.0, 10.0)], Cost(0, 55 / 0.75)),
    ],
    ids=["one size of statements", "cheaper alone", "no cost of a call"],
)
def test_no_part_of_a_cost_is_negative(points, cost):
    found = Cost.fitted(points)
    assert (found.call_us, found.statement_us) == pytest.approx((cost.call_us, cost.statement_us))


@pytest.mark.parametrize(("controllers", "batch"), [(1, 16), (2, 8), (4, 6), (16, 4), (1000, 4)])
def test_controllers_that_share_callers_gather_what_one_gathers_of_their_part(controllers, batch):
    model = CallModel.of([measured(8, 4), measured(32, 8), measured(64, 16)])
    predicted = model.predicted(controllers, 64)
    assert predicted.batch == pytest.approx({4: 4 + 8 / 24 * 4}.get(controllers, batch))
    assert predicted.us[Part.POSTGRESQL] == pytest.approx(50 + 400 / predicted.batch)


def test_a_prediction_is_held_against_what_was_measured():
    found = {name: off for name, _, _, off in differences(measured(64, 8), measured(64, 10))}
    assert found["calls in a statement"] == pytest.approx(-0.2)
    assert found["PostgreSQL, us a call"] == pytest.approx(100 / 90 - 1)
    assert len(found) == 3


def test_machines_carry_what_their_processors_do_until_a_bound_of_the_primary_is_met():
    site = Site(US, 1000, MACHINE)
    assert site.plan(1).rate == pytest.approx(6e6 / 600)
    assert site.plan(5).rate == pytest.approx(5 * 6e6 / 600)
    assert site.plan(5).primaries == 1
    assert sum(site.plan(5).parts.values()) == pytest.approx(5)
    assert site.walls()[0] == ("processors of the primary", pytest.approx(60_000))


def test_beyond_the_first_bound_buckets_are_used_only_if_more_is_carried_by_them():
    site = Site(US, 1000, MACHINE)
    alone, divided = site.plan(7), site.plan(100)
    assert alone.rate == pytest.approx(60_000)
    assert alone.primaries == 1
    assert divided.rate == pytest.approx(100 * 6e6 / (300 * 1.5 + 300))
    assert divided.primaries == 20
    assert sum(divided.parts.values()) == pytest.approx(100)


def test_each_bound_may_be_the_first_one():
    assert Site(US, 100_000, MACHINE).walls()[0] == ("WAL to one standby", pytest.approx(750))
    assert Site(US, 1000, MACHINE, connections_max=8).walls()[0] == ("connections of the primary", pytest.approx(3000))


def test_a_million_executions_take_hours_of_a_processor():
    assert Site(US, 1000, MACHINE).core_hours_per_million == pytest.approx(600 / 3600)
    assert Plan.at(6000, US, 2, MACHINE).parts[Part.WORKERS] == pytest.approx(0.3)
