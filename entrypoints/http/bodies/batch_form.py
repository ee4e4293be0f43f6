"""The body of a batch: each item is held to what the body of an execute is held to."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from attrs import define, field
from msgspec import Raw, UnsetType

from domain.errors import FieldTooLarge, InvalidRequest, Problem
from domain.executions.batches import Batch
from domain.json_pointer import pointer
from domain.json_text import JsonText
from entrypoints.http.bodies.examiner import Examiner
from entrypoints.http.bodies.forms import BodyForms
from entrypoints.http.bodies.members import elements, starts_with
from entrypoints.http.bodies.reading import read_body
from entrypoints.http.bodies.validation import BodyForm, Flaw, refuse
from entrypoints.http.options import HttpOptions
from entrypoints.http.payloads.batches import BatchEnvelope
from entrypoints.http.payloads.values import json_text
from entrypoints.http.request import Request

_PROBLEMS_MAX = 100
_EXAMINED_SIZE_MAX = 16 * 1024


@define
class BatchForm:
    """Reads batches; the whole is bounded in bytes and in items, every item like a call of its own."""

    _size_max: int
    _items_max: int
    _timeout_s: float
    _examiner: Examiner
    _envelopes: BodyForm[BatchEnvelope]
    _item: Callable[[bytes], JsonText] = field(repr=False)

    @classmethod
    def of(cls, options: HttpOptions, forms: BodyForms) -> "BatchForm":
        """Return the form for these options, whose items have the form of `forms.execute`."""
        rules = partial(_envelope_rules, options.batch_items_max, options.batch_parallel_max)
        size_max, timeout_s, examiner = options.batch_size_max, options.body_timeout_s, forms.examiner
        return cls(
            size_max,
            options.batch_items_max,
            timeout_s,
            examiner,
            BodyForm(BatchEnvelope, size_max, timeout_s, rules, examiner, apart=frozenset({"items"})),
            lambda content: json_text(forms.execute.parsed(content).params),
        )

    async def read(self, request: Request) -> Batch:
        """Return the request's batch.

        Raises InvalidRequest with every problem at once, FieldTooLarge, UnsupportedMediaType, SlowBody,
        Overloaded or ClientGone.
        """
        content = await read_body(request, self._size_max, self._timeout_s)
        if len(content) < _EXAMINED_SIZE_MAX:
            return self._batch(content)
        return await self._examiner.run(request.caller.owner, len(content), lambda: self._batch(content))

    def _batch(self, content: bytes) -> Batch:
        envelope = self._envelopes.parsed(content)
        assert not isinstance(envelope.items, UnsetType), "the rules require items"
        return Batch(self._parsed(elements(envelope.items, self._items_max) or ()), envelope.parallel)

    def _parsed(self, items: Iterable[Raw]) -> list[JsonText]:
        parsed: list[JsonText] = []
        flaws: list[Flaw] = []
        for index, item in enumerate(items):
            try:
                parsed.append(self._item(bytes(item)))
            except (InvalidRequest, FieldTooLarge) as refusal:
                flaws += _placed(refusal, index)
                if len(flaws) >= _PROBLEMS_MAX:
                    break
        refuse(flaws[:_PROBLEMS_MAX])
        return parsed


def _envelope_rules(items_max: int, parallel_max: int, envelope: BatchEnvelope) -> Iterator[Problem]:
    if isinstance(envelope.items, UnsetType):
        yield Problem("/items", "must be given: a list of objects with params")
    elif not starts_with(envelope.items, b"["):
        yield Problem("/items", "must be an array")
    elif not elements(envelope.items, items_max):
        yield Problem("/items", f"must have 1 to {items_max} items")
    if envelope.parallel > parallel_max:
        yield Problem("/parallel", f"must be at most {parallel_max}")


def _placed(refusal: InvalidRequest | FieldTooLarge, index: int) -> Iterator[Flaw]:
    """Yield what is wrong with an item, with pointers into the batch."""
    place = pointer(("items", index))
    if isinstance(refusal, FieldTooLarge):
        yield FieldTooLarge(place + refusal.pointer, refusal.size_max, refusal.size)
        return
    for problem in refusal.problems:
        yield Problem(place + problem.pointer, problem.message)
