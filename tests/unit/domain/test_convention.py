"""The names of calling conventions."""

from domain.scripts.convention import Convention


def test_conventions_are_found_by_the_names_under_which_they_are_stored() -> None:
    assert [Convention(name) for name in ("own", "origin", "event-first")] == list(Convention)
