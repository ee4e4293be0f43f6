import json
from datetime import timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from domain.identity import ANONYMOUS, SessionRef, uuid7_at
from domain.json_text import EMPTY_OBJECT, JsonText
from domain.scripts.script import Script
from domain.takeover.moving import InboundSession, Original
from domain.takeover.outgoing import COUNT_MAX, members, outgoing_row
from domain.takeover.receiving import received
from domain.takeover.source_session import AcceptedSession, SourceSession
from tests.unit.domain.builders import session_at
from tests.unit.takeover.builders import HOUR, NOW, row
from tests.unit.takeover.test_receiving import JSON, PINNING, TEXTS

SPANS = st.timedeltas(timedelta(microseconds=1), timedelta(days=900))


def taken(source: SourceSession) -> InboundSession:
    found = received(source, PINNING, NOW)
    assert isinstance(found, AcceptedSession), found
    return found.inbound


@given(
    st.builds(
        row,
        language_title=st.sampled_from(["nodejs-adder", "nodejs-x y", "python-é"]),
        user_id=st.none() | TEXTS,
        created_at=SPANS.map(lambda span: NOW - span),
        expires_at=SPANS.map(lambda span: NOW + span),
        last_executed_at=st.none() | SPANS.map(lambda span: NOW - span),
        execution_count=st.integers(-(2**31), 2**31 - 1),
        status=TEXTS,
        context=JSON,
        script_content=TEXTS.filter(bool),
        script_hash=st.none() | TEXTS,
        compile_options=st.none() | JSON,
        compile_status=st.none() | TEXTS,
        compile_error=st.none() | TEXTS,
        metadata=st.none() | JSON,
    )
)
def test_a_live_session_that_comes_and_returns_has_every_column_as_it_was(source: SourceSession) -> None:
    assert outgoing_row(taken(source)) == source


@pytest.mark.parametrize("script", [None, ""])
def test_a_session_that_was_pinned_for_want_of_a_script_returns_without_one(script: str | None) -> None:
    source = row(script_content=script)
    assert outgoing_row(taken(source)) == source


def test_a_negative_count_stays_unless_it_has_grown() -> None:
    inbound = taken(row(execution_count=-3))
    assert outgoing_row(inbound).execution_count == -3
    grown = evolve(inbound, session=evolve(inbound.session, execution_count=2))
    assert outgoing_row(grown).execution_count == 2


def test_a_count_beyond_four_bytes_is_capped() -> None:
    inbound = taken(row())
    session = evolve(inbound.session, execution_count=COUNT_MAX + 1)
    assert outgoing_row(evolve(inbound, session=session)).execution_count == COUNT_MAX


def test_what_changed_here_returns() -> None:
    inbound = taken(row(metadata=None))
    changed = evolve(
        inbound.session,
        context=JsonText('{"b": 2}'),
        metadata=JsonText('{"order": 1}'),
        expires_at=NOW + 2 * HOUR,
        last_executed_at=NOW,
    )
    found = outgoing_row(evolve(inbound, session=changed))
    assert (found.context, found.metadata) == ('{"b": 2}', '{"order": 1}')
    assert (found.expires_at, found.last_executed_at) == (NOW + 2 * HOUR, NOW)


def test_a_session_that_was_made_here_is_an_active_row() -> None:
    session = session_at(NOW, ref=SessionRef(ANONYMOUS, uuid7_at(NOW, 0)))
    script = Script.of("return 1", 100)
    found = outgoing_row(InboundSession(session, script, Original("nodejs-calculator", "alice", EMPTY_OBJECT)))
    assert found == row(
        request_id=str(session.ref.session_id),
        language_title="nodejs-calculator",
        user_id="alice",
        created_at=NOW,
        expires_at=session.expires_at,
        last_executed_at=None,
        execution_count=0,
        context=session.context,
        script_content="return 1",
        metadata=session.metadata,
    )


def test_a_session_without_content_has_no_script() -> None:
    inbound = evolve(taken(row()), script=None)
    assert outgoing_row(inbound).script_content is None


@given(st.dictionaries(TEXTS, JSON, max_size=4))
def test_members_are_the_texts_of_an_object(object_: dict[str, str]) -> None:
    text = "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in object_.items()) + "}"
    assert members(JsonText(text)) == object_


def test_numbers_keep_their_digits() -> None:
    assert members(JsonText('{"a": 1.50, "b" :[1e3]}')) == {"a": "1.50", "b": "[1e3]"}
