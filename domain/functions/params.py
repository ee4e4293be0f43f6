"""The check of params against the schema of the function that their session is pinned to."""

from attrs import define

from domain.functions.function import PinnedVersion
from domain.functions.ports import FunctionRepository, SchemaCompiler
from domain.functions.schema import ParamsRefused, PinnedVersionNotFound, SchemaRefused, SchemaUnusable, within
from domain.json_text import JsonText


@define
class ParamsCheck:
    """Checks params against the schema of the function version that their session is pinned to."""

    _functions: FunctionRepository
    _schemas: SchemaCompiler

    async def require(self, pinned: PinnedVersion, params: JsonText) -> None:
        """Raise ParamsRefused unless the params fit.

        Raises PinnedVersionNotFound, StorageUnavailable or Overloaded if the schema cannot be read, SchemaUnusable if
        this release does not accept it.
        """
        title, version = pinned.language_title, pinned.version
        stored = await self._functions.schema(pinned.function_id, version)
        if stored is None:
            raise PinnedVersionNotFound(title, version)
        if stored.params is None:
            return
        try:
            schema = await self._schemas.compile(stored.params)
        except SchemaRefused as error:
            raise SchemaUnusable(title, version, error.in_one_line) from error
        problems = schema.problems(params)
        if problems:
            raise ParamsRefused(within(problems, "/params"), title, version)  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter
