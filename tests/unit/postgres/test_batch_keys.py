"""Keys are held by one at a time."""

from adapters.postgres.batching.call_queue import BatchKeys


def test_a_free_key_is_taken_at_once():
    keys = BatchKeys()
    assert keys.take("a", lambda key: None)
    assert keys.take("b", lambda key: None)


def test_a_released_key_passes_on_in_order():
    keys, granted = BatchKeys(), []
    assert keys.take("a", granted.append)
    assert not keys.take("a", lambda key: granted.append(("first", key)))
    assert not keys.take("a", lambda key: granted.append(("second", key)))
    keys.release("a")
    assert granted == [("first", "a")]
    keys.release("a")
    assert granted == [("first", "a"), ("second", "a")]


def test_a_key_without_a_queue_is_forgotten():
    keys = BatchKeys()
    keys.take("a", lambda key: None)
    keys.release("a")
    assert len(keys) == 0
    assert keys.take("a", lambda key: None)
