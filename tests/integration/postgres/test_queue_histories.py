"""Every execution of a queue in PostgreSQL is what the rules say, after any history."""

from hypothesis import HealthCheck, given, settings

from tests.contracts.queue_histories import follows, steps


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=steps)
async def test_every_execution_of_a_queue_is_what_the_rules_say_after_any_history(storage, history):
    await follows(storage, history)
