import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from domain.functions.function import PinnedVersion
from domain.identity import ANONYMOUS, MAX_ID, NO_ID, SessionRef
from domain.scripts.convention import Convention
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.script import Script
from domain.sessions.session import Renewal, Session
from domain.takeover.moving import InboundSession, Original
from domain.takeover.owners import ListedOwner
from domain.takeover.reasons import Flag, Reason
from domain.takeover.receiving import canonical_id, received
from domain.takeover.source_session import (
    AcceptedSession,
    Expired,
    FunctionScript,
    LeftSession,
    Scriptless,
    SourceSession,
    TakeoverPolicy,
)
from tests.unit.takeover.builders import HOUR, ID, LIMITS, NOW, POLICY, row

ADDER = LanguageTitle(Language.NODEJS, "adder")
FUNCTION = FunctionScript(PinnedVersion(uuid4(), 2, ADDER), Script.of("return 2;", 100), Convention.OWN)
PINNING = evolve(POLICY, scriptless=Scriptless.PIN, functions={ADDER: FUNCTION})


def accepted(source: SourceSession, policy: TakeoverPolicy = POLICY) -> AcceptedSession:
    found = received(source, policy, NOW)
    assert isinstance(found, AcceptedSession), found
    return found


def taken(source: SourceSession, policy: TakeoverPolicy = POLICY) -> Session:
    return accepted(source, policy).inbound.session


def flags(source: SourceSession, policy: TakeoverPolicy = POLICY) -> Sequence[Flag]:
    return accepted(source, policy).flags


def leftovers(source: SourceSession, policy: TakeoverPolicy = POLICY) -> object:
    return json.loads(accepted(source, policy).inbound.original.leftovers)


def test_a_live_session_is_taken_column_by_column():
    script = Script.of("return 1;", 100)
    session = Session(
        ref=SessionRef(ANONYMOUS, UUID(ID)),
        language_title=ADDER,
        script_hash=script.hash,
        context='{"a": 1}',
        metadata="{}",
        limits=LIMITS,
        renewal=Renewal.FIXED,
        ttl_seconds=7200,
        expires_at=NOW + HOUR,
        expires_max_at=NOW - HOUR + timedelta(days=30),
        last_executed_at=NOW - HOUR / 2,
        execution_count=3,
        convention=Convention.ORIGIN,
        foreign_created_at=NOW - HOUR,
    )
    original = Original("nodejs-adder", None, '{"absent": ["metadata"]}')
    assert accepted(row()) == AcceptedSession(InboundSession(session, script, original), flags=())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"request_id": ID.upper()}, Reason.ID_NOT_CANONICAL),
        ({"request_id": ID.replace("-", "")}, Reason.ID_NOT_CANONICAL),
        ({"request_id": "x" * 36}, Reason.ID_NOT_CANONICAL),
        ({"request_id": str(NO_ID)}, Reason.ID_NOT_CANONICAL),
        ({"request_id": str(MAX_ID)}, Reason.ID_NOT_CANONICAL),
        ({"language_title": "rust-x"}, Reason.LANGUAGE_NOT_SERVED),
        ({"language_title": "x"}, Reason.LANGUAGE_UNKNOWN),
        ({"context": None}, Reason.CONTEXT_MISSING),
        ({"created_at": None, "instants_fit": False}, Reason.INSTANT_OUT_OF_RANGE),
        ({"expires_at": None, "instants_fit": False}, Reason.INSTANT_OUT_OF_RANGE),
        ({"last_executed_at": None, "instants_fit": False}, Reason.INSTANT_OUT_OF_RANGE),
        ({"created_at": NOW + 2 * HOUR}, Reason.CREATED_AFTER_EXPIRY),
        ({"script_content": None}, Reason.NO_SCRIPT),
        ({"script_content": ""}, Reason.NO_SCRIPT),
    ],
)
def test_a_session_that_cannot_be_taken_is_left_with_its_reason(changes: dict[str, object], reason: Reason):
    source = row(**changes)
    assert received(source, POLICY, NOW) == LeftSession(source.request_id, reason)


def test_each_reason_and_each_flag_has_words_of_its_own():
    words = [each.words for each in [*Reason, *Flag]]
    assert len(set(words)) == len(words)
    assert all(text.endswith(".") for text in words)


def test_a_label_that_the_owner_file_lacks_leaves_the_session():
    policy = evolve(POLICY, owners=ListedOwner({"u1": "alice"}))
    assert received(row(user_id="u2"), policy, NOW) == LeftSession(ID, Reason.OWNER_UNKNOWN)
    assert taken(row(user_id="u1"), policy).ref.owner == "alice"


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"request_id": "0198f0e5-1f3b-7c5d-8e9f-0a1b2c3d4e5f"}, Flag.ID_LOOKS_OWN),
        ({"language_title": "nodejs-"}, Flag.TITLE_EMPTY),
        ({"language_title": "nodejs-a b"}, Flag.TITLE_OUTSIDE_GRAMMAR),
        ({"language_title": "nodejs-" + "a" * 128}, Flag.TITLE_OUTSIDE_GRAMMAR),
        ({"context": "[1]"}, Flag.CONTEXT_NOT_OBJECT),
        ({"context": '{"a": "' + "é" * 500 + '"}'}, Flag.CONTEXT_OVER_LIMIT),
        ({"script_content": "x" * 1001}, Flag.SCRIPT_OVER_LIMIT),
        ({"script_hash": "0" * 64}, Flag.HASH_DIFFERS),
        ({"expires_at": datetime(9999, 12, 31, tzinfo=UTC)}, Flag.LENGTH_CAPPED),
        ({"execution_count": -2}, Flag.COUNT_NEGATIVE),
        ({"status": "completed"}, Flag.STATUS_IGNORED),
        ({"metadata": "[]"}, Flag.METADATA_SET_ASIDE),
        ({"metadata": '{"a": "' + "b" * 16 * 1024 + '"}'}, Flag.METADATA_SET_ASIDE),
        ({"metadata": json.dumps({"a": list(range(256))})}, Flag.METADATA_SET_ASIDE),
        ({"artifact_bytes": 0}, Flag.ARTIFACT_NOT_COPIED),
        ({"user_id": "alice"}, Flag.OWNER_DIFFERS),
    ],
)
def test_what_is_unusual_is_flagged(changes: dict[str, object], flag: Flag):
    assert flag in flags(row(**changes))


def test_a_context_that_is_no_object_is_kept_as_it_is():
    assert taken(row(context="null")).context == "null"


def test_the_spelling_is_kept_beside_the_title():
    inbound = accepted(row(language_title="nodejs-")).inbound
    assert (inbound.session.language_title.title, inbound.original.spelled_title) == ("_", "nodejs-")


def test_a_negative_count_is_zero_here_and_a_missing_one_too():
    assert [taken(row(execution_count=count)).execution_count for count in (-2, None, 7)] == [0, 0, 7]


def test_metadata_that_fits_are_those_of_the_session():
    assert taken(row(metadata='{"a": 1}')).metadata == '{"a": 1}'
    assert leftovers(row(metadata='{"a": 1}')) == {}
    for large in (list(range(254)), "," * 300):
        assert taken(row(metadata=json.dumps({"a": large}))).metadata != "{}"


def test_the_leftovers_have_every_column_that_the_session_does_not_tell():
    source = row(
        status="error",
        execution_count=-2,
        compile_options='{"memory_limit_mb": 4}',
        compile_status="pending",
        compile_error='a "b"',
        script_hash="0" * 64,
        metadata="[1]",
    )
    assert leftovers(source) == {
        "status": "error",
        "execution_count": -2,
        "compile_options": {"memory_limit_mb": 4},
        "compile_status": "pending",
        "compile_error": 'a "b"',
        "script_hash": "0" * 64,
        "metadata": [1],
    }


def test_json_null_in_metadata_is_told_from_sql_null():
    assert leftovers(row(metadata="null")) == {"metadata": None}
    assert leftovers(row(metadata=None)) == {"absent": ["metadata"]}


def test_a_length_of_no_time_is_a_second_and_the_longest_is_what_the_column_holds():
    moment = row(created_at=NOW + HOUR, expires_at=NOW + HOUR)
    assert taken(moment).ttl_seconds == 1
    for_ever = taken(row(expires_at=datetime(9999, 12, 31, tzinfo=UTC)))
    assert (for_ever.ttl_seconds, for_ever.expires_max_at) == (2**31 - 1, for_ever.expires_at)


def test_the_absolute_maximum_ends_with_the_year_9999():
    late = datetime(9999, 12, 20, tzinfo=UTC)
    assert taken(row(created_at=late, expires_at=late + HOUR, last_executed_at=None)).expires_max_at.year == 9999


class TestWithoutAScript:
    def test_it_is_pinned_to_the_function_of_its_title(self):
        found = accepted(row(script_content=None), PINNING)
        session = found.inbound.session
        assert session.pinned == FUNCTION.pinned
        assert (found.inbound.script, session.convention) == (FUNCTION.script, Convention.OWN)
        assert session.script_hash == FUNCTION.script.hash
        assert found.flags == (Flag.SCRIPT_PINNED,)

    def test_it_is_left_if_no_function_has_its_title(self):
        source = row(script_content=None, language_title="nodejs-other")
        assert received(source, PINNING, NOW) == LeftSession(ID, Reason.NO_SCRIPT)
        assert received(evolve(source, language_title="x"), PINNING, NOW) == LeftSession(ID, Reason.LANGUAGE_UNKNOWN)

    def test_an_empty_script_is_told_from_none(self):
        assert leftovers(row(script_content=None), PINNING) == {"absent": ["metadata", "script_content"]}
        assert leftovers(row(script_content=""), PINNING) == {"script_content": "", "absent": ["metadata"]}

    def test_a_script_of_its_own_is_not_replaced(self):
        assert taken(row(), PINNING).pinned is None


class TestExpired:
    @pytest.mark.parametrize(
        ("expired", "ages_taken"),
        [(Expired.NONE, []), (Expired.RETAINED, [0, 23]), (Expired.ALL, [0, 23, 24, 9000])],
    )
    def test_the_choice_decides_by_the_time_since_the_expiry(self, expired: Expired, ages_taken: list[int]):
        policy = evolve(POLICY, expired=expired)
        ages = [0, 23, 24, 9000]
        rows = {age: row(created_at=NOW - 10_000 * HOUR, expires_at=NOW - age * HOUR) for age in ages}
        found = {age: received(each, policy, NOW) for age, each in rows.items()}
        assert [age for age in ages if isinstance(found[age], AcceptedSession)] == ages_taken
        assert {each.reason for each in found.values() if isinstance(each, LeftSession)} <= {Reason.EXPIRED}

    def test_it_is_taken_empty_whatever_its_content(self):
        found = accepted(row(expires_at=NOW, context=None, script_content=None, metadata='{"a": 1}', status="expired"))
        session = found.inbound.session
        assert (found.inbound.script, session.script_hash, session.context, session.metadata) == (
            None,
            None,
            "{}",
            "{}",
        )
        assert (session.closed_at, found.flags) == (None, ())

    def test_its_language_and_id_are_judged(self):
        expired = row(expires_at=NOW, language_title="x")
        assert received(expired, POLICY, NOW) == LeftSession(ID, Reason.LANGUAGE_UNKNOWN)


class TestWithHonourStatus:
    POLICY = evolve(POLICY, honours_status=True)

    def test_a_status_other_than_active_closes_the_session(self):
        found = accepted(row(status="expired"), self.POLICY)
        assert (found.inbound.session.closed_at, found.inbound.script) == (NOW - HOUR / 2, None)
        assert found.flags == (Flag.STATUS_HONOURED,)

    def test_it_is_closed_at_its_creation_if_it_was_not_executed_since(self):
        assert taken(row(status="error", last_executed_at=None), self.POLICY).closed_at == NOW - HOUR

    def test_an_active_session_is_live_and_an_expired_one_is_not_closed(self):
        assert taken(row(), self.POLICY).closed_at is None
        assert taken(row(expires_at=NOW, status="expired"), self.POLICY).closed_at is None


@given(st.uuids())
def test_an_id_of_any_version_is_kept(identifier: UUID):
    assert canonical_id(str(identifier)) == (None if identifier == MAX_ID else identifier)


@given(st.text(max_size=40))
def test_no_other_text_is_an_id(text: str):
    identifier = canonical_id(text)
    assert identifier is None or str(identifier) == text


INSTANTS = st.integers(0, 253_402_300_799_999_999).map(
    lambda us: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
).map(json.dumps)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


@given(
    st.builds(
        row,
        language_title=st.sampled_from(["nodejs-x", "python-y", "rust-z", "", "nodejs-", "python-é"]),
        user_id=st.none() | TEXTS,
        created_at=INSTANTS,
        expires_at=INSTANTS,
        last_executed_at=st.none() | INSTANTS,
        execution_count=st.none() | st.integers(-(2**31), 2**31 - 1),
        status=TEXTS,
        context=st.none() | JSON,
        script_content=st.none() | TEXTS,
        script_hash=st.none() | TEXTS,
        compile_options=st.none() | JSON,
        compile_error=st.none() | TEXTS,
        metadata=st.none() | JSON,
        artifact_bytes=st.none() | st.integers(0, 2**30),
    ),
    st.sampled_from(Expired),
    st.booleans(),
    INSTANTS,
)
def test_whatever_the_row_its_session_keeps_the_constraints_of_the_table(
    source: SourceSession, expired: Expired, honours_status: bool, now: datetime
):
    policy = evolve(PINNING, expired=expired, honours_status=honours_status)
    found = received(source, policy, now)
    if isinstance(found, LeftSession):
        return
    session, script = found.inbound.session, found.inbound.script
    assert session.expires_at <= session.expires_max_at
    assert session.script_hash == (None if script is None else script.hash)
    assert session.execution_count >= 0
    assert 1 <= session.ttl_seconds < 2**31
    assert session.language_title.title
    assert session.metadata.startswith("{")
    assert isinstance(json.loads(found.inbound.original.leftovers), dict)
