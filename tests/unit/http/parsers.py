"""The parsers of all bodies, as the application makes them."""

from attrs import frozen

from entrypoints.http.endpoints.executions import execute_parser
from entrypoints.http.options import HttpOptions
from entrypoints.http.parsing.batches import BatchParser, items_parser
from entrypoints.http.parsing.bodies import BodyParser, Examiner
from entrypoints.http.parsing.functions import FunctionParser
from entrypoints.http.parsing.sessions import initialize_parser, patch_parser
from entrypoints.http.schemas.executions import ExecuteBody
from entrypoints.http.schemas.sessions import InitializeBody, PatchBody


@frozen
class Parsers:
    """The parsers of all bodies, and the examiner that they share."""

    examiner: Examiner
    initialize: BodyParser[InitializeBody]
    patch: BodyParser[PatchBody]
    execute: BodyParser[ExecuteBody]
    batch: BatchParser[ExecuteBody]
    function: FunctionParser

    @classmethod
    def of(cls, options: HttpOptions) -> "Parsers":
        examiner = Examiner(options.examination_wait_s, options.examination_bytes_max)
        execute = execute_parser(options, examiner)
        return cls(
            examiner,
            initialize_parser(options, examiner),
            patch_parser(options, examiner),
            execute,
            items_parser(options, execute, examiner),
            FunctionParser.of(options, examiner),
        )
