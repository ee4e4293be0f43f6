"""The contract of OriginReader."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from domain.takeover.ordinary import OrdinaryRows, PageLimits
from domain.takeover.reader_ports import OriginReader
from domain.takeover.source_session import SourceSession
from tests.contracts.takeover_store import origin_id
from tests.unit.takeover.builders import HOUR, NOW, POLICY, row

Store = Callable[[SourceSession], None]
MOMENT = timedelta(microseconds=1)


def session(number: int = 0, **changes: object) -> SourceSession:
    return row(request_id=str(origin_id(number)), **changes)


async def all_heads(reader: OriginReader, expired_after=None, size: int = 2) -> list[str]:
    """Return the ids of all pages."""
    ids: list[str] = []
    after = None
    while page := await reader.heads(after, expired_after, size):
        assert len(page) <= size
        ids += [head.request_id for head in page]
        after = page[-1].cursor
    return ids


class OriginReaderContract:
    """Subclasses have a fixture `reader`, and `store`, which stores a row there."""

    @pytest.fixture
    def reader(self) -> OriginReader:
        raise NotImplementedError

    @pytest.fixture
    def store(self, reader: OriginReader) -> Store:
        raise NotImplementedError

    async def test_an_empty_origin_has_no_rows(self, reader):
        assert await reader.estimate(None) >= 0
        assert await reader.heads(None, None, 10) == []
        assert await reader.sessions([str(origin_id(1))]) == []

    @pytest.mark.parametrize("expired_after", [None, NOW - 2 * HOUR])
    async def test_pages_have_every_row_once_in_the_same_order(self, reader, store, expired_after):
        for number in range(5):
            store(session(number, expires_at=NOW + HOUR * (number % 3)))
        found = await all_heads(reader, expired_after)
        assert sorted(found) == sorted(str(origin_id(number)) for number in range(5))
        assert await all_heads(reader, expired_after, size=3) == found
        assert await reader.estimate(expired_after) >= 0

    async def test_rows_that_expired_earlier_are_left_out(self, reader, store):
        for number, expires_at in enumerate((NOW - MOMENT, NOW, NOW + MOMENT)):
            store(session(number, expires_at=expires_at))
        assert await all_heads(reader, NOW) == [str(origin_id(2))]
        assert len(await all_heads(reader)) == 3

    async def test_a_row_that_is_stored_behind_the_cursor_is_found(self, reader, store):
        ids = sorted(str(origin_id(number)) for number in range(2))
        store(row(request_id=ids[0]))
        (head,) = await reader.heads(None, NOW, 10)
        store(row(request_id=ids[1], expires_at=NOW + 2 * HOUR))
        assert [each.request_id for each in await reader.heads(head.cursor, NOW, 10)] == [ids[1]]

    async def test_the_size_of_a_row_covers_its_texts(self, reader, store):
        store(session(1, script_content="é" * 5000, context='{"a": 1}'))
        (head,) = await reader.heads(None, None, 1)
        assert 10_000 <= head.size_bytes <= 10_100

    async def test_rows_are_read_with_all_values(self, reader, store):
        full = session(
            1,
            user_id="a\t",
            status="odd",
            script_hash="0" * 64,
            compile_options='{"a": [1, 2.50]}',
            compile_status="pending",
            compile_error="no",
            metadata="[1]",
            artifact_bytes=3,
            execution_count=-1,
        )
        empty = session(2, context="null", script_content=None, last_executed_at=None, artifact_bytes=None)
        for each in (full, empty):
            store(each)
        found = await reader.sessions([full.request_id, empty.request_id, str(origin_id(3))])
        assert sorted(found, key=lambda each: each.status) == [empty, full]

    async def test_pages_have_every_row_once_in_the_order_of_heads(self, reader, store):
        for number in range(7):
            changes = {"script_content": "x" * 300 * (number % 3), "execution_count": number - 1}
            store(session(number, expires_at=NOW + HOUR * (number % 3), **changes))
        heads = await all_heads(reader, NOW - POLICY.retention)
        for limits in (PageLimits(2), PageLimits(7, 500), PageLimits(7, 1000)):
            found, after = [], None
            while page := await reader.page(after, limits, POLICY, NOW):
                ids = {*page.ordinary.ids, *page.odd, *page.large}
                assert ids == set(heads[len(found) : len(found) + page.examined])
                assert len(page.ordinary.ids) + len(page.odd) + len(page.large) == page.examined <= limits.rows_max
                found += heads[len(found) : len(found) + page.examined]
                after = page.cursor
            assert found == heads

    async def test_a_page_has_limited_bytes_and_reads_no_larger_row(self, reader, store):
        for number in range(6):
            store(session(number, script_content="x" * (2000 if number == 3 else 400)))
        pages, after = [], None
        while page := await reader.page(after, PageLimits(10, 1000), POLICY, NOW):
            pages.append(page)
            after = page.cursor
        assert [request_id for page in pages for request_id in page.large] == [str(origin_id(3))]
        assert all(len(page.ordinary.ids) + len(page.odd) <= 2 for page in pages)
        assert 4000 <= sum(page.size_bytes for page in pages) <= 4100

    @pytest.mark.parametrize("name", ["script_content", "context", "compile_options", "compile_error", "metadata"])
    async def test_each_text_counts_in_the_size_of_a_row(self, reader, store, name):
        store(session(1, **{name: f'{{"a": "{"x" * 2000}"}}'}))
        page = await reader.page(None, PageLimits(10, 1000), POLICY, NOW)
        assert page.large == [str(origin_id(1))]
        assert 2000 <= page.size_bytes <= 2100

    async def test_rows_of_one_kind_are_ordinary_and_others_are_odd(self, reader, store):
        odd = session(1, execution_count=-1), session(2, status="odd"), session(3, context="[]")
        plain = session(4), session(5, script_content="é", context='{"b": 2}'), session(6, user_id="alice")
        for each in (*odd, *plain):
            store(each)
        page = await reader.page(None, PageLimits(), POLICY, NOW)
        assert sorted(page.odd) == sorted(each.request_id for each in odd)
        kinds = {request_id: page.ordinary.kinds[number].user_id for request_id, number in numbered(page.ordinary)}
        assert kinds == {each.request_id: each.user_id for each in plain}

    async def test_an_origin_without_rows_has_no_page(self, reader):
        assert await reader.page(None, PageLimits(), POLICY, NOW) is None


def numbered(rows: OrdinaryRows) -> list[tuple[str, int]]:
    """Return the ids with the numbers of their kinds."""
    return list(zip(rows.ids, rows.kind_numbers, strict=True))
