"""What the commands of a takeover that run scripts are made of; the other ones do not wait for these imports."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from msgspec.structs import replace

from adapters.json_schema.compiler import JsonSchemaCompiler
from domain.audit import Actor
from domain.clock import Clock, IdGenerator
from domain.concurrency.background_tasks import BackgroundTasks
from domain.functions.examples import ExampleRuns
from domain.functions.ports import FunctionRepository
from domain.identity import Owner
from domain.scripts.language import Language
from domain.scripts.ports import ScriptRunner
from domain.takeover.function_import import FunctionImporter
from domain.takeover.languages import OriginLanguages
from entrypoints.composition.options import example_policy
from entrypoints.composition.runners import Runners
from entrypoints.settings.settings import Settings

_DRAIN_S = 5.0


@asynccontextmanager
async def function_importer(  # noqa: PLR0913, PLR0917  # what the container has, and the operator's choice
    settings: Settings,
    functions: FunctionRepository,
    clock: Clock,
    ids: IdGenerator,
    actor: Actor,
    owner: Owner,
    languages: OriginLanguages,
) -> AsyncIterator[FunctionImporter]:
    """Open the runners, and yield what registers functions of the origin for an owner."""
    async with script_runners(settings) as runners:
        schemas, tasks = JsonSchemaCompiler(), BackgroundTasks()
        examples = ExampleRuns(clock, ids, schemas, runners, example_policy(settings), tasks)
        choice = owner, languages, settings.max_script_size
        yield FunctionImporter(functions, schemas, runners, examples, clock, ids, actor, *choice)
        await tasks.drain(_DRAIN_S)


@asynccontextmanager
async def script_runners(settings: Settings) -> AsyncIterator[Mapping[Language, ScriptRunner]]:
    """Open the runner of each language, and close them at the end."""
    runners = Runners.of(settings)
    await runners.open()
    try:
        yield runners.by_language
    finally:
        await runners.close()


@asynccontextmanager
async def sandbox_runners(settings: Settings) -> AsyncIterator[Mapping[Language, ScriptRunner]]:
    """Open runners of every language in the sandbox of this host, whatever the settings say of runtime hosts.

    A runtime of the origin is a runtime host too, and it would run scripts with a network.
    """
    local = replace(settings, nodejs_runtime_url=(), python_runtime_url=(), runtime_host_networks=())
    async with script_runners(local) as runners:
        yield runners
