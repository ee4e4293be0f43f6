from datetime import timedelta

from attrs import evolve

from domain.scripts.language import Language
from domain.takeover.census import OWNERS_MAX, SCRIPTS_MAX, Census
from domain.takeover.owners import LabelOwner
from domain.takeover.reasons import Flag, Reason
from tests.unit.takeover.builders import HOUR, NOW, POLICY, head

PYTHON = {"language_title": "python-x"}


def census(*heads, policy=POLICY):
    found = Census(policy, NOW)
    return found, list(found.add(heads))


def test_sessions_are_counted_by_what_becomes_of_them():
    found, lines = census(
        head(),
        head(**PYTHON),
        head(language_title="rust-x"),
        head(expires_at=NOW - HOUR),
        head(created_at=NOW - 9000 * HOUR, expires_at=NOW - 90 * HOUR),
    )
    assert (found.live, found.taken_live, found.taken_ended, found.left) == (3, 2, 1, 1)
    assert found.reasons == {Reason.LANGUAGE_NOT_SERVED: 1, Reason.EXPIRED: 1}
    assert found.live_reasons == {Reason.LANGUAGE_NOT_SERVED: 1, Reason.EXPIRED: 0}
    assert found.languages == {"nodejs": 2, "python": 1}
    assert [line["left"] for line in lines] == [Reason.LANGUAGE_NOT_SERVED, Reason.EXPIRED]


def test_sizes_are_those_of_the_bodies_and_not_of_their_stand_ins():
    found, lines = census(head("x" * 2000, 3000), head(artifact_bytes=7), head("y" * 5000, 1, expires_at=NOW - HOUR))
    assert (found.context_bytes_max, found.script_bytes_max, found.artifact_bytes_max) == (3000, 5000, 7)
    assert found.flags == {Flag.CONTEXT_OVER_LIMIT: 1, Flag.SCRIPT_OVER_LIMIT: 1, Flag.ARTIFACT_NOT_COPIED: 1}
    assert [line["flags"] for line in lines] == [
        [Flag.CONTEXT_OVER_LIMIT, Flag.SCRIPT_OVER_LIMIT],
        [Flag.ARTIFACT_NOT_COPIED],
    ]
    assert 5000 + 3 * 300 < found.size_bytes < 5000 + 3 * 600, "an ended session comes without its bodies"


def test_a_stored_hash_of_another_script_is_a_remark_on_a_script_that_is_taken():
    ended = head(expires_at=NOW - HOUR)
    found, lines = census(evolve(head(), hash_differs=True), evolve(ended, hash_differs=True), head())
    assert (found.flags, len(lines)) == ({Flag.HASH_DIFFERS: 1}, 1)


def test_a_session_without_an_expiry_counts_as_live():
    found, _ = census(head(expires_at=None, instants_fit=False))
    assert found.live_reasons == {Reason.INSTANT_OUT_OF_RANGE: 1}


def test_equal_scripts_of_live_sessions_are_counted_together_by_language():
    found, _ = census(head("a"), head("a"), head("b"), head("a", **PYTHON), head("c", expires_at=NOW - HOUR))
    used = found.most_used_scripts(2)
    assert [(language, use.sessions) for (language, _), use in used.items()] == [
        (Language.NODEJS, 2),
        (Language.NODEJS, 1),
    ]
    assert len(found.scripts) == 3


def test_owners_and_scripts_beyond_the_limits_are_counted_together():
    policy = evolve(POLICY, owners=LabelOwner("default"))
    found = Census(policy, NOW)
    for number in range(OWNERS_MAX + 5):
        list(found.add([head(user_id=f"user {number}")]))
    assert (len(found.owners), found.other_owners) == (OWNERS_MAX, 5)
    for number in range(SCRIPTS_MAX):
        found.scripts[Language.PYTHON, str(number)] = next(iter(found.scripts.values()))
    list(found.add([head("new")]))
    assert found.other_scripts == 1


def test_the_time_of_the_judgement_is_that_of_the_census():
    found = Census(POLICY, NOW + timedelta(days=2))
    list(found.add([head()]))
    assert found.reasons == {Reason.EXPIRED: 1}
