"""The contract of SessionRepository."""

import asyncio
from abc import ABC, abstractmethod
from datetime import timedelta

import pytest
from attrs import evolve

from domain.grants.grants import Grants
from domain.grants.state import SaveOn, StateGrant, StateMode
from domain.identity import ANONYMOUS, EVERY_OWNER, SessionRef
from domain.json_text import EMPTY_OBJECT, JsonText
from domain.scripts.convention import Convention
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.limits import Isolation, Limits
from domain.scripts.script import Script
from domain.sessions.ports import SessionFilter
from domain.sessions.session import Renewal, Session, SessionNotFound, SessionPatch, Status
from tests.contracts.storage import ALICE, BOB, SCRIPT, Storage
from tests.foreign_ids import TAKEN

MOMENT = timedelta(microseconds=1)
GRANTS = Grants(StateGrant(StateMode.EXCLUSIVE, SaveOn.ALWAYS, repl=True))
EXAMINED_MAX = 4
"""How many sessions a filtered page may look at; each subclass sets its repository so."""


class _Refused(Exception):
    pass


def refuse(_: Session) -> Session:
    raise _Refused


def same(session: Session) -> Session:
    return session


class SessionRepositoryContract(ABC):
    """`parts` is in how many parts each of which examines EXAMINED_MAX the sessions lie, in turns."""

    parts = 1

    @pytest.fixture
    @abstractmethod
    def storage(self) -> Storage: ...

    async def test_a_session_is_found_as_it_was_added(self, storage):
        session = await storage.add(
            BOB,
            language_title=LanguageTitle(Language.PYTHON, "text_processor.v2"),
            context=JsonText('{"none": null, "quoted": "\\"{}\\\\,ä\\n"}'),
            limits=Limits(60_000, 512, Isolation.PROCESS),
            renewal=Renewal.SLIDING,
            function_version=2**40,
            function_id=storage.ids.new(storage.clock.now()),
            convention=Convention.EVENT_FIRST,
            grants=GRANTS,
        )
        assert await storage.sessions.get(session.ref) == session
        assert await storage.listed(BOB) == [session]
        assert (await storage.begin(session.ref)).session == session.admit(storage.clock.now())

    async def test_grants_are_kept_whatever_changes(self, storage):
        session = await storage.add(grants=GRANTS)
        patched = await storage.sessions.update(session.ref, lambda s: s.patch(SessionPatch(), storage.clock.now()))
        assert (await storage.sessions.get(session.ref)).grants == patched.grants == GRANTS
        assert (await storage.close(session)).grants == GRANTS

    @pytest.mark.parametrize("context", ["[1, 2]", '"text"', "null", "17", '{"a": 1}'])
    async def test_a_session_of_another_service_keeps_its_id_its_creation_and_its_context(self, storage, context):
        foreign = {"context": JsonText(context), "convention": Convention.ORIGIN}
        session = await storage.add_foreign(TAKEN[-1], BOB, **foreign)
        ref = session.ref
        assert session.created_at == storage.clock.now() - timedelta(hours=1)
        assert await storage.sessions.get(ref) == session
        assert await storage.listed(BOB) == [session]
        assert (await storage.begin(ref)).session == session
        patched = await storage.sessions.update(ref, lambda s: s.patch(SessionPatch(), storage.clock.now()))
        assert await storage.sessions.get(ref) == patched == evolve(session, version=2)

    async def test_context_and_metadata_are_found_as_they_were_sent(self, storage):
        sent = JsonText('{ "z": 1e30,\n "a": {"y": 1.50, "x": -0.0}, "a": 12345678901234567890123, "é": "\\u00e9" }')
        session = await storage.add(context=sent, metadata=sent)
        assert await storage.sessions.get(session.ref) == session
        assert await storage.listed() == [session]
        assert (await storage.begin(session.ref)).session == session
        changed = JsonText('{"b": 1e2, "a": 100}')
        patch = SessionPatch(changed, changed)
        patched = await storage.sessions.update(session.ref, lambda s: s.patch(patch, storage.clock.now()))
        found = await storage.sessions.get(session.ref)
        assert (found.context, found.metadata) == (patched.context, patched.metadata) == (changed, changed)

    async def test_adding_a_session_again_changes_nothing(self, storage):
        session = await storage.add()
        patched = await storage.sessions.update(
            session.ref, lambda s: s.patch(SessionPatch(ttl_seconds=500), storage.clock.now())
        )
        await storage.sessions.add(session, Script.of("other", 100))
        assert await storage.sessions.get(session.ref) == patched
        assert await storage.sessions.script(session.ref) == SCRIPT

    async def test_sessions_added_together_are_all_found(self, storage):
        sessions = [storage.new_session(owner) for owner in (ALICE, BOB) for _ in range(10)]
        await asyncio.gather(*(storage.sessions.add(session, SCRIPT) for session in sessions))
        found = await asyncio.gather(*(storage.sessions.get(session.ref) for session in sessions))
        assert found == sessions

    async def test_an_unknown_session_is_not_found(self, storage):
        await self._assert_absent(storage, storage.new_session().ref)

    async def test_sessions_of_all_owners_are_read_changed_and_listed_with_every_owner(self, storage):
        sessions = [await storage.add(owner) for owner in (ALICE, BOB)]
        for session in sessions:
            ref = SessionRef(EVERY_OWNER, session.ref.session_id)
            assert await storage.sessions.get(ref) == session
            assert await storage.sessions.script(ref) == SCRIPT
            closed = await storage.sessions.update(ref, lambda stored: stored.close(storage.clock.now()))
            assert closed.ref == session.ref
            assert await storage.sessions.get(session.ref) == closed
        assert [each.ref for each in await storage.listed(EVERY_OWNER, 1)] == [each.ref for each in sessions[::-1]]
        assert [each.ref for each in await storage.listed(ALICE)] == [sessions[0].ref]

    async def test_an_unknown_session_is_not_found_with_every_owner(self, storage):
        await self._assert_absent(storage, SessionRef(EVERY_OWNER, storage.new_session().ref.session_id))

    async def test_a_session_of_another_owner_is_not_found(self, storage):
        session = await storage.add(ALICE)
        await self._assert_absent(storage, SessionRef(BOB, session.ref.session_id))
        await storage.sessions.add(evolve(session, ref=SessionRef(BOB, session.ref.session_id)), SCRIPT)
        await self._assert_absent(storage, SessionRef(BOB, session.ref.session_id))
        assert await storage.sessions.get(session.ref) == session

    async def test_reads_of_several_owners_at_once_do_not_mix(self, storage):
        session = await storage.add(ALICE)
        foreign = SessionRef(BOB, session.ref.session_id)
        found = await asyncio.gather(
            storage.sessions.get(session.ref), storage.sessions.get(foreign), return_exceptions=True
        )
        assert found[0] == session
        assert isinstance(found[1], SessionNotFound)

    async def test_a_session_is_found_whatever_its_status(self, storage):
        expired = await storage.add()
        closed = await storage.add()
        await storage.close(closed)
        storage.clock.advance(timedelta(days=2))
        now = storage.clock.now()
        assert (await storage.sessions.get(expired.ref)).status(now) is Status.EXPIRED
        assert (await storage.sessions.get(closed.ref)).status(now) is Status.CLOSED

    async def test_the_script_is_found_as_it_was_added(self, storage):
        session = await storage.add()
        assert await storage.sessions.script(session.ref) == SCRIPT

    async def test_an_emptied_session_has_no_script(self, storage):
        session = await storage.add()
        closed = await storage.close(session)
        assert closed.script_hash is None
        assert await storage.sessions.get(session.ref) == closed
        assert await storage.sessions.script(session.ref) is None

    async def test_an_update_stores_the_changed_session(self, storage):
        session = await storage.add()
        patch = SessionPatch(JsonText('{"c": [1]}'), JsonText('{"m": {}}'), 700, Renewal.SLIDING)
        changed = await storage.sessions.update(session.ref, lambda s: s.patch(patch, storage.clock.now()))
        assert changed == session.patch(patch, storage.clock.now())
        assert await storage.sessions.get(session.ref) == changed
        assert await storage.sessions.script(session.ref) == SCRIPT

    async def test_a_change_that_raises_stores_nothing(self, storage):
        session = await storage.add()
        with pytest.raises(_Refused):
            await storage.sessions.update(session.ref, refuse)
        assert await storage.sessions.get(session.ref) == session

    async def test_a_change_that_returns_its_argument_stores_nothing(self, storage):
        session = await storage.add()
        assert await storage.sessions.update(session.ref, same) == session
        assert await storage.sessions.get(session.ref) == session

    async def test_each_concurrent_update_sees_the_one_before_it(self, storage):
        session = await storage.add(metadata=JsonText("{}"))
        seen: set[int] = set()

        def change(stored: Session) -> Session:
            seen.add(stored.version)
            return stored.patch(SessionPatch(), storage.clock.now())

        changed = await asyncio.gather(*(storage.sessions.update(session.ref, change) for _ in range(10)))
        assert sorted(after.version for after in changed) == list(range(2, 12))
        assert seen == set(range(1, 11))

    async def test_concurrent_updates_of_different_fields_both_survive(self, storage):
        session = await storage.add()
        patches = [
            SessionPatch(context=JsonText('{"new": 1}')),
            SessionPatch(metadata=JsonText('{"new": 2}')),
            SessionPatch(ttl_seconds=900),
        ]
        now = storage.clock.now()
        await asyncio.gather(
            *(storage.sessions.update(session.ref, lambda s, patch=patch: s.patch(patch, now)) for patch in patches)
        )
        stored = await storage.sessions.get(session.ref)
        assert (stored.context, stored.metadata, stored.ttl_seconds) == ('{"new": 1}', '{"new": 2}', 900)

    async def test_one_of_many_concurrent_closes_wins(self, storage):
        session = await storage.add()
        closed = await asyncio.gather(*(storage.close(session) for _ in range(10)))
        assert {after.version for after in closed} == {2}

    async def test_updates_of_several_sessions_at_once_do_not_mix(self, storage):
        sessions = [await storage.add(owner) for owner in (ALICE, BOB, ALICE)]
        now = storage.clock.now()

        def patch(n: int) -> SessionPatch:
            return SessionPatch(metadata=JsonText(f'{{"n": {n}}}'))

        changed = await asyncio.gather(
            *(storage.sessions.update(s.ref, lambda r, n=n: r.patch(patch(n), now)) for n, s in enumerate(sessions))
        )
        assert [after.metadata for after in changed] == ['{"n": 0}', '{"n": 1}', '{"n": 2}']
        assert [await storage.sessions.get(session.ref) for session in sessions] == changed

    async def test_an_update_never_moves_the_end_back(self, storage):
        session = await storage.add()
        earlier = session.expires_at - timedelta(seconds=50)
        changed = await storage.sessions.update(session.ref, lambda s: evolve(s, expires_at=earlier, version=2))
        assert changed.expires_at == session.expires_at
        assert await storage.sessions.get(session.ref) == changed

    async def test_an_update_keeps_counts_of_concurrent_executions(self, storage):
        session = await storage.add()
        await storage.execute(session.ref)
        changed = await storage.sessions.update(
            session.ref, lambda s: evolve(s, execution_count=0, last_executed_at=None, version=2)
        )
        assert changed.execution_count == 1
        assert changed.last_executed_at == storage.clock.now()
        assert await storage.sessions.get(session.ref) == changed

    async def test_pages_hold_the_owners_sessions_newest_first(self, storage):
        mine = []
        for _ in range(7):
            mine.append(await storage.add(ALICE))
            await storage.add(BOB)
            storage.clock.advance(MOMENT)
        assert await storage.listed(ALICE) == list(reversed(mine))

    async def test_sessions_of_another_service_are_listed_by_their_ids(self, storage):
        own = await storage.add()
        foreign = [await storage.add_foreign(session_id) for session_id in TAKEN]
        by_id = sorted([own, *foreign], key=lambda session: session.ref.session_id, reverse=True)
        assert await storage.listed(size=2) == by_id
        assert await storage.listed(size=2, language=own.language_title.language) == by_id

    async def test_a_page_continues_after_the_last_one(self, storage):
        sessions = [await storage.add() for _ in range(5)]
        first = await storage.sessions.page(ANONYMOUS, SessionFilter(storage.clock.now()), None, 3)
        assert first.items == sessions[:1:-1]
        assert first.next_after == sessions[2].ref.session_id
        last = await storage.sessions.page(ANONYMOUS, SessionFilter(storage.clock.now()), first.next_after, 3)
        assert last.items == [sessions[1], sessions[0]]
        assert last.next_after is None

    async def test_there_is_nothing_after_a_full_last_page(self, storage):
        for _ in range(3):
            await storage.add()
        page = await storage.sessions.page(ANONYMOUS, SessionFilter(storage.clock.now()), None, 3)
        assert len(page.items) == 3
        assert page.next_after is None

    async def test_a_filtered_page_ends_where_the_sessions_end(self, storage):
        for _ in range(EXAMINED_MAX):
            await storage.add()
        wanted = SessionFilter(storage.clock.now(), Status.ACTIVE)
        page = await storage.sessions.page(ANONYMOUS, wanted, None, EXAMINED_MAX)
        assert len(page.items) == EXAMINED_MAX
        assert page.next_after is None

    async def test_an_owner_without_sessions_has_an_empty_page(self, storage):
        await storage.add(BOB)
        assert await storage.listed(ALICE) == []
        assert await storage.listed(ALICE, status=Status.ACTIVE) == []

    async def test_pages_show_one_language(self, storage):
        titles = [LanguageTitle(language, "t") for language in (Language.PYTHON, Language.NODEJS) for _ in range(3)]
        sessions = [await storage.add(language_title=title) for title in titles]
        assert await storage.listed(language=Language.PYTHON) == sessions[2::-1]
        assert await storage.listed(language=Language.NODEJS) == sessions[:2:-1]

    async def test_pages_show_one_status_as_of_the_judging_instant(self, storage):
        short = await storage.add(ttl_seconds=100)
        long = await storage.add(ttl_seconds=101)
        closed = await storage.close(await storage.add(ttl_seconds=100))
        judged_at = short.expires_at
        assert await storage.listed(status=Status.ACTIVE, judged_at=judged_at - MOMENT) == [long, short]
        assert await storage.listed(status=Status.EXPIRED, judged_at=judged_at - MOMENT) == []
        assert await storage.listed(status=Status.ACTIVE, judged_at=judged_at) == [long]
        assert await storage.listed(status=Status.EXPIRED, judged_at=judged_at) == [short]
        assert await storage.listed(status=Status.CLOSED, judged_at=judged_at) == [closed]

    async def test_pages_show_one_status_of_one_language(self, storage):
        title = LanguageTitle(Language.PYTHON, "t")
        closed = await storage.close(await storage.add(language_title=title))
        await storage.add(language_title=title)
        await storage.close(await storage.add())
        assert await storage.listed(language=Language.PYTHON, status=Status.CLOSED) == [closed]

    async def test_pages_without_contexts_have_everything_else(self, storage):
        session = await storage.add(context=JsonText('{"a": 1}'), metadata=JsonText('{"b": 2}'))
        page = await storage.sessions.page(ANONYMOUS, SessionFilter(storage.clock.now()), None, 1, contexts=False)
        assert page.items == [evolve(session, context=EMPTY_OBJECT)]

    async def test_pages_show_a_part_of_the_title_in_upper_or_lower_case(self, storage):
        session = await storage.add(language_title=LanguageTitle(Language.PYTHON, "Invoice_42%"))
        await storage.add(language_title=LanguageTitle(Language.PYTHON, "t"))
        for text in ("voice_42%", "THON-INV"):
            assert await storage.listed(text=text) == [session]
        assert await storage.listed(text="voice%42") == []

    @pytest.mark.parametrize(
        ("part", "is_contained"),
        [
            ('{"order": "4711"}', True),
            ('{"order": 4711}', False),
            ('{"n": 1e1, "order": "4711"}', True),
            ('{"n": 10, "order": "4712"}', False),
            ('{"flag": true, "none": null}', True),
            ('{"flag": 1}', False),
            ('{"missing": null}', False),
            ('{"customer": {"id": 7}}', True),
            ('{"id": 7}', False),
            ('{"customer": {"id": 7, "more": {}}}', False),
            ('{"tags": ["b", "a", "a"]}', True),
            ('{"tags": ["c"]}', False),
            ('{"tags": "a"}', False),
            ('{"tags": [["x"]]}', True),
            ('{"\\u00e9\\"": "\N{GRINNING FACE}"}', True),
        ],
    )
    async def test_pages_show_sessions_whose_metadata_contain_an_object(self, storage, part, is_contained):
        metadata = (
            '{"order": "4711", "n": 10.0, "flag": true, "none": null, "customer": {"id": 7, "x": []}, '
            '"tags": ["a", "b", ["x", "y"]], "\N{LATIN SMALL LETTER E WITH ACUTE}\\"": "\\ud83d\\ude00"}'
        )
        session = await storage.add(BOB, metadata=JsonText(metadata))
        await storage.add(BOB)
        await storage.add(ALICE, metadata=JsonText(metadata))
        assert await storage.listed(BOB, metadata=JsonText(part)) == ([session] if is_contained else [])
        assert len(await storage.listed(EVERY_OWNER, metadata=JsonText(part))) == (2 if is_contained else 0)

    async def test_metadata_that_few_sessions_have_are_found_among_many(self, storage):
        metadata = JsonText('{"order": "4711"}')
        few = [await storage.add(metadata=metadata) for _ in range(EXAMINED_MAX)]
        for _ in range(3 * EXAMINED_MAX):
            await storage.add(metadata=JsonText('{"order": "4712"}'))
        wanted = SessionFilter(storage.clock.now(), metadata=metadata)
        first = await storage.sessions.page(ANONYMOUS, wanted, None, 3)
        assert first.items == few[:-4:-1]
        last = await storage.sessions.page(ANONYMOUS, wanted, first.next_after, 3)
        assert (last.items, last.next_after) == (few[:1], None)

    async def test_metadata_that_many_sessions_have_are_found_page_by_page(self, storage):
        metadata = JsonText('{"env": "prod"}')
        examined = self.parts * EXAMINED_MAX
        many = [await storage.add(metadata=metadata) for _ in range(2 * examined)]
        others = [await storage.add() for _ in range(2 * examined)]
        wanted = SessionFilter(storage.clock.now(), metadata=metadata)
        page = await storage.sessions.page(ANONYMOUS, wanted, None, 2)
        assert page.items == []
        assert page.next_after in {each.ref.session_id for each in others[examined : examined + self.parts]}
        assert await storage.listed(metadata=metadata) == many[::-1]

    async def test_lists_follow_changes_of_metadata(self, storage):
        old, new = JsonText('{"order": "1"}'), JsonText('{"order": "2"}')
        session = await storage.add(metadata=old)
        changed = await storage.sessions.update(
            session.ref, lambda s: s.patch(SessionPatch(metadata=new), storage.clock.now())
        )
        assert await storage.listed(metadata=old) == []
        assert await storage.listed(metadata=new) == [changed]
        await storage.close(session)
        assert await storage.listed(metadata=new) == []

    async def test_a_filtered_page_examines_a_bounded_number_and_says_where_to_continue(self, storage):
        oldest = await storage.close(await storage.add())
        examined = self.parts * EXAMINED_MAX
        newer = [await storage.add() for _ in range(2 * examined)]
        wanted = SessionFilter(storage.clock.now(), Status.CLOSED)
        page = await storage.sessions.page(ANONYMOUS, wanted, None, 2)
        assert page.items == []
        assert page.next_after in {each.ref.session_id for each in newer[examined : examined + self.parts]}
        assert await storage.listed(status=Status.CLOSED, size=2) == [oldest]

    async def _assert_absent(self, storage: Storage, ref: SessionRef) -> None:
        with pytest.raises(SessionNotFound):
            await storage.sessions.get(ref)
        with pytest.raises(SessionNotFound):
            await storage.sessions.script(ref)
        with pytest.raises(SessionNotFound):
            await storage.sessions.update(ref, same)
        assert await storage.listed(ref.owner) == []
