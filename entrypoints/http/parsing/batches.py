"""The bodies of batches, with the rules that their types cannot express."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Generic, TypeVar

from attrs import define, field
from msgspec import Raw, UnsetType

from domain.batches import Batch
from domain.errors import FieldTooLarge, InvalidRequest, Problem
from domain.json_pointer import pointer
from entrypoints.http.options import HttpOptions
from entrypoints.http.parsing.bodies import BodyParser, Examiner, read_body
from entrypoints.http.parsing.body_problems import PROBLEMS_MAX, BodyProblem, raise_problems
from entrypoints.http.parsing.json_scan import elements, starts_with
from entrypoints.http.request import Request
from entrypoints.http.schemas.executions import BatchEnvelope, ExecuteBody
from entrypoints.http.schemas.sessions import InitializeBatchEnvelope, InitializeItemBody

Item = TypeVar("Item")
Envelope = BatchEnvelope | InitializeBatchEnvelope

INITIALIZES_MAX = 32
"""Items of a batch that are initialized at once: their checks and their rows leave together."""

_SMALL_SIZE_MAX = 16 * 1024


@define
class BatchParser(Generic[Item]):
    """Parses batches. The whole is limited in bytes and items, and each item like the body of a call of its own."""

    _size_max: int
    _items_max: int
    _timeout_s: float
    _examiner: Examiner
    _envelopes: BodyParser[Any]
    _item: Callable[[bytes], Item] = field(repr=False)

    async def read(self, request: Request) -> Batch[Item]:
        """Return the batch of the request.

        Raises InvalidRequest with every problem at once, FieldTooLarge, UnsupportedMediaType, SlowBody, Overloaded or
        ClientDisconnected.
        """
        content = await read_body(request, self._size_max, self._timeout_s)
        if len(content) < _SMALL_SIZE_MAX:
            return self.parse(content)
        return await self._examiner.run(request.caller.owner, len(content), lambda: self.parse(content))

    def parse(self, content: bytes) -> Batch[Item]:
        """Return the batch of a body; raises InvalidRequest or FieldTooLarge."""
        envelope = self._envelopes.parse(content)
        assert not isinstance(envelope.items, UnsetType), "the rules require items"
        return Batch(self._parsed(elements(envelope.items, self._items_max) or ()), _parallel(envelope))

    def _parsed(self, items: Iterable[Raw]) -> list[Item]:
        parsed: list[Item] = []
        problems: list[BodyProblem] = []
        for index, item in enumerate(items):
            try:
                parsed.append(self._item(bytes(item)))
            except (InvalidRequest, FieldTooLarge) as error:
                problems += _item_problems(error, index)
                if len(problems) >= PROBLEMS_MAX:
                    break
        raise_problems(problems[:PROBLEMS_MAX])
        return parsed


def items_parser(options: HttpOptions, items: BodyParser[ExecuteBody], examiner: Examiner) -> BatchParser[ExecuteBody]:
    """Return the parser of batches of executions; `items` parses each item."""
    return _parser(options, BatchEnvelope, items.parse, examiner)


def sessions_parser(
    options: HttpOptions, items: BodyParser[InitializeItemBody], examiner: Examiner
) -> BatchParser[InitializeItemBody]:
    """Return the parser of batches of sessions; `items` parses each item."""
    return _parser(options, InitializeBatchEnvelope, items.parse, examiner)


def _parser(
    options: HttpOptions, envelope: type[Envelope], item: Callable[[bytes], Item], examiner: Examiner
) -> BatchParser[Item]:
    rules = partial(_envelope_rules, options.batch_items_max, options.batch_parallel_max)
    size_max, timeout_s = options.batch_size_max, options.body_timeout_s
    envelopes: BodyParser[Any] = BodyParser(envelope, size_max, timeout_s, rules, examiner, opaque=frozenset({"items"}))
    return BatchParser(size_max, options.batch_items_max, timeout_s, examiner, envelopes, item)


def _parallel(envelope: Envelope) -> int:
    return envelope.parallel if isinstance(envelope, BatchEnvelope) else INITIALIZES_MAX


def _envelope_rules(items_max: int, parallel_max: int, envelope: Envelope) -> Iterator[Problem]:
    if isinstance(envelope.items, UnsetType):
        yield Problem("/items", "is required: an array of objects")
    elif not starts_with(envelope.items, b"["):
        yield Problem("/items", "must be an array")
    elif not elements(envelope.items, items_max):
        yield Problem("/items", f"must have 1 to {items_max} items")
    if isinstance(envelope, BatchEnvelope) and envelope.parallel > parallel_max:
        yield Problem("/parallel", f"must be at most {parallel_max}")


def _item_problems(error: InvalidRequest | FieldTooLarge, index: int) -> Iterator[BodyProblem]:
    """Yield the problems of an item, with pointers into the batch."""
    item = pointer(("items", index))
    if isinstance(error, FieldTooLarge):
        yield FieldTooLarge(item + error.pointer, error.size_max, error.size)
        return
    for problem in error.problems:
        yield Problem(item + problem.pointer, problem.message)
