"""TypeScript in workers and checkers of equipped zygotes of Node.js: which forms run, which are refused, and where."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial

import pytest
import pytest_asyncio

from adapters.sandbox.equipment import Equipment
from adapters.sandbox.options import NodeStart, SandboxOptions
from adapters.sandbox.protocol.execution import execute
from adapters.sandbox.protocol.syntax_checker import TOO_HARD, SyntaxChecker
from adapters.sandbox.runner import SandboxScriptRunner
from adapters.sandbox.runtime import LanguageRuntime
from adapters.sandbox.workers.process import WorkerProcess
from adapters.sandbox.workers.worker_factory import WorkerFactory
from domain.identity import ANONYMOUS
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.report import FailureCode, ScriptReport
from domain.scripts.script import InputForm, ScriptSyntaxError, SyntaxFault
from domain.scripts.syntax import Syntax
from tests.contracts.script_runs import report_of, run_of, script_of
from tests.integration.sandbox.conftest import Built

pytestmark = pytest.mark.asyncio(loop_scope="module")
MEASURES_GUEST = True

MORE_THAN_A_TYPE = "TypeScript's {} is not supported: types are removed, and it is more than a type"
NO_MODULES = (
    "'import', and 'export' cannot be used outside of module code. ES module syntax is not supported here: use "
    "require() and module.exports"
)
AS_INSTEAD = (
    "The angle-bracket syntax for type assertions, `<T>expr`, is not supported in type strip mode. Instead, use the "
    "'as' syntax: `expr as T`."
)

RUNS = {
    "annotations": "const a: number = 1; return a",
    "parameters and results": "function f(a: number, b?: string): number { return a }\nreturn f(1)",
    "rest and this": "function f(this: unknown, ...a: number[]): number { return a[0]! }\nreturn f(1)",
    "interfaces": "interface A extends B { x: number }\ninterface B {}\nreturn 1",
    "aliases": "type A<T> = T extends string ? 'a' : { [K in keyof T]?: T[K] };\nreturn 1",
    "generic functions": "function f<T extends number = 1>(x: T): T { return x }\nreturn f<number>(1)",
    "generic arrows": "const f = async <T,>(x: T): Promise<T> => x;\nreturn await f(1)",
    "a type that ends on the next line": "const f = (x: number)\n: number => x;\nreturn f(1)",
    "as": "return (event as any).params.a as number",
    "as const": "const a = [1] as const; return a[0]",
    "satisfies": "return 1 satisfies number",
    "non-null": "return event!.params!.a",
    "definite": "let x!: number; x = 1; return x",
    "catch": "try { throw 1 } catch (error: unknown) { return error }",
    "predicates": "function f(x: any): x is number { return true }\nfunction g(x: any): asserts x {}\nreturn f(1) ? 1 : 0",
    "overloads": "function f(x: string): void;\nfunction f(x: number): number;\nfunction f(x: any) { return x }\nreturn f(1)",
    "members of classes": "class A<T> { private x = 1; protected readonly y?: T; static z: number = 1; get() { return this.x } }\nreturn new A<string>().get()",
    "declared members": "class A { declare x: number; [key: string]: unknown }\nreturn 'x' in new A() ? 0 : 1",
    "abstract classes": "abstract class A { abstract m(): number; n() { return 1 } }\nclass B extends A { override m() { return 1 } }\nreturn new B().n()",
    "implements": "class A implements PromiseLike<number> { then(f: any) { return f(1) } }\nreturn await new A()",
    "declarations": "declare const a: number;\ndeclare function f(): void;\ndeclare module 'x' {}\ndeclare enum E { A }\nreturn 1",
    "an empty namespace": "namespace A { export type B = number }\nreturn 1 as A.B",
    "type queries": "const a = { b: 1 };\ntype A = typeof a['b'];\nreturn a.b as A",
    "templates": "type A = `a${string}`;\nreturn `${1 as number}` === '1' ? 1 : 0",
    "import types": "type A = import('node:fs').Stats;\nreturn 1",
    "a handler": "module.exports = async (event: { params: { a: number } }): Promise<number> => event.params.a;",
    "comments and letters": "/* 😀 é */ const s: '😀' | 'é' = 'é'; return (s as string).length",
    "line ends": "const a: number = 1\r\nreturn (\r\n  a as number\r\n)",
    "plain JavaScript": "const { a = 0 } = event.params ?? {}; return [...[a]].at(-1)",
}
REFUSED = {
    "enum A { B }": SyntaxFault(MORE_THAN_A_TYPE.format("enum"), 1, 1),
    "const a = 1;\n\nenum A {\n  B,\n}": SyntaxFault(MORE_THAN_A_TYPE.format("enum"), 3, 1),
    "const enum A { B }": SyntaxFault(MORE_THAN_A_TYPE.format("enum"), 1, 1),
    "namespace A { export const b = 1 }": SyntaxFault(MORE_THAN_A_TYPE.format("namespace declaration"), 1, 1),
    "class A {\n  constructor(private x: number) {}\n}": SyntaxFault(
        MORE_THAN_A_TYPE.format("parameter property"), 2, 23
    ),
    "const a = <number>1; return a": SyntaxFault(AS_INSTEAD, 1, 11),
    "import a = require('fs');": SyntaxFault(NO_MODULES, 1, 1),
    "import type { A } from 'a';": SyntaxFault(NO_MODULES, 1, 1),
    "return 1;\nexport const a: number = 1;": SyntaxFault(NO_MODULES, 2, 1),
    "const a: number = 1;\nreturn (a": SyntaxFault("Unexpected end of the script", 2, 10),
    "if (event) {\n  const a: number = 1;": SyntaxFault("Unexpected end of the script", 2, 23),
    "return 1 as number }": SyntaxFault("the script closes the function around it: a closing brace is too many"),
    "}); (async function (a: number) {": SyntaxFault(
        "the script closes the function around it: a closing brace is too many"
    ),
    "return 'é' as 😀": SyntaxFault("Unexpected character '😀'", 1, 1),
    "const a = 1; let b: number = 2; const a = 3;": SyntaxFault("Identifier 'a' has already been declared", 1, 39),
    "const a: number = 1;\nreturn a + ;": SyntaxFault("Expression expected", 2, 12),
}


@contextlib.asynccontextmanager
async def opened_runtime(options: SandboxOptions, built: Built) -> AsyncIterator[LanguageRuntime]:
    factory = WorkerFactory(options.start_timeout_s)
    runtime = LanguageRuntime(Language.NODEJS, options, built(options), factory)
    await runtime.open()
    yield runtime
    await runtime.close()
    await factory.close(5)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runtime(runtimes_dir, built) -> AsyncIterator[LanguageRuntime]:
    """Its workers are forks."""
    async with opened_runtime(SandboxOptions(runtimes_dir, prewarmed=0, node_start=NodeStart.FORK), built) as runtime:
        yield runtime


@pytest_asyncio.fixture(loop_scope="module")
async def checker(runtime) -> AsyncIterator[SyntaxChecker]:
    start = partial(runtime.start_equipped, Equipment(), None, runtime.options.check_memory_mb)
    checker = SyntaxChecker(start, runtime.options)
    yield checker
    await checker.close()


async def started(runtime: LanguageRuntime) -> WorkerProcess:
    return await runtime.start_equipped(Equipment(), None, 128)


async def run(
    runtime: LanguageRuntime, worker: WorkerProcess, source: str, syntax: Syntax | None = Syntax.TYPESCRIPT
) -> ScriptReport:
    worker.syntax = syntax
    asked = run_of(source, '{"a":1}', language=Language.NODEJS)
    return await execute(worker, asked, await asked.source(), runtime.options)


async def verdicts_on(checker: SyntaxChecker, *sources: str):
    scripts = [(source, Convention.OWN, Syntax.TYPESCRIPT) for source in sources]
    return (await checker.check(scripts, 5.0)).verdicts


async def results_of_forms(runtime: LanguageRuntime, *forms: str) -> dict[str, tuple[object, ...]]:
    """Run forms in one worker, or further ones if it may not be used again."""
    worker, results = await started(runtime), {}
    for form in forms:
        worker = worker if worker.is_alive else await started(runtime)
        report = await run(runtime, worker, RUNS[form])
        results[form] = (report.failure, report.result, report.stderr)
    return results


async def test_forms_that_are_types_alone_run(runtime):
    assert await results_of_forms(runtime, *RUNS) == dict.fromkeys(RUNS, (None, "1", ""))


async def test_a_worker_that_was_executed_runs_them_too(runtimes_dir, built):
    options = SandboxOptions(runtimes_dir, prewarmed=0, node_start=NodeStart.EXEC)
    async with opened_runtime(options, built) as runtime:
        assert await results_of_forms(runtime, "annotations", "a handler") == {
            "annotations": (None, "1", ""),
            "a handler": (None, "1", ""),
        }


async def test_the_same_forms_are_valid_for_the_check(checker):
    assert set(await verdicts_on(checker, *RUNS.values())) == {InputForm.PLAIN}


async def test_other_forms_are_refused_with_their_place(checker):
    found = [(await verdicts_on(checker, source))[0] for source in REFUSED]
    assert dict(zip(REFUSED, found, strict=True)) == REFUSED


async def test_a_failure_has_the_line_of_the_text_that_the_caller_sent(runtime):
    report = await run(
        runtime,
        await started(runtime),
        "interface A {\n  x: number\n}\nconst f = (x: any): never => { throw new Error('no') };\nf(1);",
    )
    assert report.failure.code == FailureCode.SCRIPT_ERROR
    assert "script.js:4:38" in (report.failure.stack or "")


async def test_a_script_of_another_session_keeps_its_meaning(runtime):
    compares = "const f = 1, x = 2, number = 3; return f<number>(x)"
    assert (await run(runtime, await started(runtime), compares, None)).result == "false"
    assert (await run(runtime, await started(runtime), compares)).failure is not None, "in TypeScript it calls f"


async def test_a_session_in_typescript_has_a_warm_worker_that_no_other_session_gets(runtimes_dir, built):
    options = SandboxOptions(runtimes_dir, node_start=NodeStart.FORK, queue_timeout_s=60)  # for the first zygote
    runner = SandboxScriptRunner(options, built(options))
    await runner.open()
    try:
        asked = partial(run_of, language=Language.NODEJS)
        typed = partial(asked, "const a: number = event.params.a as number;\nreturn a", syntax=Syntax.TYPESCRIPT)
        first = typed('{"a":1}')
        cold, warm = [await report_of(runner, each) for each in (first, typed('{"a":2}', ref=first.ref))]
        assert [(each.result, each.cold_start) for each in (cold, warm)] == [("1", True), ("2", False)]
        unused = await runner.acquire(typed())
        await unused.release()
        assert not unused.process.is_alive, "it is no worker for plain sessions"
        compares = await report_of(runner, asked("const f = 1, x = 2, number = 3; return f<number>(x)", ref=first.ref))
        assert compares.result == "false", "the same session without the syntax has another worker"
    finally:
        await runner.close(5)


async def test_the_runner_checks_scripts_in_typescript_beside_plain_ones(runtimes_dir, built):
    options = SandboxOptions(runtimes_dir, node_start=NodeStart.FORK, queue_timeout_s=60, check_timeout_s=60)
    runner = SandboxScriptRunner(options, built(options))
    await runner.open()

    async def checked(source: str, syntax: Syntax | None = Syntax.TYPESCRIPT) -> object:
        try:
            return await runner.check(Language.NODEJS, script_of(source), ANONYMOUS, syntax=syntax)
        except ScriptSyntaxError as error:
            return error.fault

    try:
        typed = "const a: number = 1"
        deep = "type A = " + "[" * 30_000
        good = [checked(f"{typed}; return {number}") for number in range(5)]
        found = await asyncio.gather(checked(deep), *good, checked("enum A {}"), checked(typed, None))
        assert found[:-1] == [TOO_HARD, *[InputForm.PLAIN] * 5, REFUSED["enum A { B }"]]
        assert isinstance(found[-1], SyntaxFault), "without the syntax it is no valid script"
    finally:
        await runner.close(5)


@pytest.mark.parametrize("deep", ["type A = " + "[" * 60_000, "a" + "=>a" * 20_000, "(" * 30_000 + "x"])
async def test_a_script_that_is_too_deep_for_the_parser_spoils_no_other_check(checker, deep):
    found = await verdicts_on(checker, deep, "const a: number = 1")
    assert found == (TOO_HARD,), "the parser has failed, so the next script was not judged"
    assert await verdicts_on(checker, "const a: number = 1") == (InputForm.PLAIN,)
