"""A key in PostgreSQL is what the rules say, after any history."""

from hypothesis import HealthCheck, given, settings

from tests.contracts.key_histories import KeyHistory, steps


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=steps)
async def test_a_key_is_what_the_rules_say_after_any_history(storage, history):
    await (await KeyHistory.of(storage)).follow(history)
