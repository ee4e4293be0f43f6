"""Titles as clients of the origin write them."""

import json
from uuid import UUID

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from adapters.memory.python_script import evaluate, python_function
from adapters.memory.store import MemoryStore
from adapters.memory.takeover import MemoryTakeoverStore
from domain.errors import StorageUnavailable
from domain.scripts.language import Language, LanguageTitle
from domain.takeover.spelling import KeptSpellings, failing_script, spelling, unambiguous, whole_title
from tests.contracts.takeover_store import id_of, inbound, owned
from tests.unit.test_memory_contracts import memory_storage

OWN_ID = UUID("019b7ca9-8f2e-7e6b-8000-000000000100")
TITLES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=128)


@given(TITLES)
def test_a_title_of_no_language_is_shown_as_it_was_written(written):
    assert spelling(whole_title(written)) == written


@given(st.sampled_from(Language), TITLES.filter(bool))
def test_a_title_of_a_language_is_shown_as_it_was_written(language, text):
    title = LanguageTitle(language, text)
    assert spelling(unambiguous(title)) == str(title)
    assert unambiguous(title).language is language


@given(TITLES)
async def test_a_failing_script_fails_with_its_reason(reason):
    ended = await evaluate(python_function(failing_script(Language.PYTHON, reason)), {"params": {}, "context": {}})
    assert ended.failure is not None
    assert (ended.failure.name, ended.failure.message) == ("RuntimeError", reason)
    thrown = failing_script(Language.NODEJS, reason).removeprefix("throw new Error(").removesuffix(");")
    assert json.loads(thrown) == reason


async def test_a_session_that_was_taken_over_keeps_the_title_of_its_client():
    memory = MemoryStore()
    storage, store = memory_storage(memory), MemoryTakeoverStore(memory)
    copy = inbound(storage)
    await owned(store, storage, evolve(copy, original=evolve(copy.original, spelled_title="js-mine")))
    spellings = KeptSpellings(store, 1.0)
    assert await spellings.of(id_of(copy)) == "js-mine"
    assert await spellings.of(id_of(inbound(storage, 1))) is None


async def test_a_session_of_this_service_is_not_looked_up():
    memory = MemoryStore(failure=StorageUnavailable())
    spellings = KeptSpellings(MemoryTakeoverStore(memory), 1.0)
    assert await spellings.of(OWN_ID) is None
    with pytest.raises(StorageUnavailable):
        await spellings.of(id_of(inbound(memory_storage(memory))))
