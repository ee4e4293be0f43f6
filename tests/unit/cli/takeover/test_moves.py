"""What `takeover adopt` and `takeover back` do to the interpreter they run in."""

import gc

from entrypoints.cli.takeover.moves import modules_uncollected


def test_the_garbage_collector_does_not_walk_over_loaded_modules_while_sessions_move():
    with modules_uncollected():
        walked = {id(each) for each in gc.get_objects()}
        assert gc.get_freeze_count() > 0
        assert id(modules_uncollected) not in walked
    assert id(modules_uncollected) in {id(each) for each in gc.get_objects()}
