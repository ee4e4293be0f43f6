"""Judging the params of sessions that are pinned to a function."""

from attrs import define

from domain.functions.ports import FunctionRepository
from domain.functions.schema import ParamsRefused, SchemaRefused, SchemaUnusable, within
from domain.functions.schema_ports import SchemaCompiler
from domain.json_text import JsonText
from domain.sessions.session import Session


@define
class ParamsCheck:
    """Holds params to the schema of the version that their session is pinned to."""

    _functions: FunctionRepository
    _schemas: SchemaCompiler

    async def require(self, session: Session, params: JsonText) -> None:
        """Raise ParamsRefused unless the params fit; a session with a script of its own takes all.

        Raises FunctionVersionNotFound, StorageUnavailable or Overloaded when the schema cannot be read, and
        SchemaUnusable when this release does not take it.
        """
        if session.function_version is None:
            return
        title, version = session.language_title, session.function_version
        wanted = (await self._functions.schema(title, version)).params
        if wanted is None:
            return
        try:
            schema = await self._schemas.compile(wanted)
        except SchemaRefused as error:
            raise SchemaUnusable(title, version, error.told) from error
        problems = schema.problems(params)
        if problems:
            raise ParamsRefused(within(problems, "/params"), title, version)  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter
