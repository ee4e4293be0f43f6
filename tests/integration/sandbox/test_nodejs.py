"""Scripts in Node.js: their forms, what they find, what they may return, and how they fail."""

import json

import pytest
from attrs import evolve

from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from domain.scripts.report import FailureCode
from tests.contracts.script_runs import failure_of, new_session, report_of, result_of, run_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
MEASURES_GUEST = True

SHORT = Limits(timeout_ms=700, memory_mb=128, isolation=Isolation.SESSION)


def node(source, params='{"a": 5, "b": 3}', **options):
    return run_of(source, params, language=Language.NODEJS, context='{"c": 1}', **options)


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("return event.params.a + event.params.b;", 8),
        ("return await Promise.resolve(event.context.c)", 1),
        ("return event.request_id.length", 36),
        ("1 + 1", None),
        ("", None),
        ("return undefined", None),
        ("return 1 // a comment at the end", 1),
        ("module.exports = (event) => event.params.a", 5),
        ("module.exports = async (event) => event.params.a", 5),
        ("exports.handler = (event) => event.context.c", 1),
        ("module.exports = { handler: async () => 'in an object' }", "in an object"),
        ("module.exports = () => 'exported'; return 'returned'", "exported"),
        ("module.exports = (event, callback) => callback(null, event.params.a)", 5),
        ("module.exports = (event, callback) => { setTimeout(() => callback(null, 'later'), 1) }", "later"),
        ("module.exports = async (context, callback) => { setTimeout(() => callback(null, 'cb'), 1) }", "cb"),
        ("module.exports = async (event, callback) => { await null; callback(null, 'inside') }", "inside"),
        ("module.exports = async (event, callback) => 'promised'", "promised"),
        ("module.exports = (e, cb) => { cb(null, 'first'); cb(null, 'second') }", "first"),
        ("module.exports = (e, cb) => { cb(null) }", None),
        ("const { a } = event.params; var event = event; return a", 5),
        ("return this === module.exports", True),
        ("return { then: (resolve) => resolve('thenable') }", "thenable"),
        ("return event instanceof Object && event.params.constructor === Object", True),
        ("return require('node:crypto').createHash('sha256').update('').digest('hex').slice(0, 8)", "e3b0c442"),
        ("return (await import('node:path')).basename('/a/b')", "b"),
        ("return [typeof Buffer, typeof URL, typeof structuredClone, typeof clearTimeout, typeof fetch]",
         ["function"] * 5),
        ("return new Date(Date.UTC(2026, 0, 1)).toLocaleString('en-GB', { timeZone: 'Asia/Tokyo' })",
         "01/01/2026, 09:00:00"),
        ("URL = 5; return URL", 5),
        ("return [undefined, { a: undefined, b: new Date(0) }]", [None, {"b": "1970-01-01T00:00:00.000Z"}]),
        ("return 'é🎉\\u2028\\ud83c\\udf89\\\\ud800'", "é🎉\u2028🎉\\ud800"),
    ],
)  # fmt: skip
async def test_every_form_of_the_contract_runs(shared, source, result):
    assert json.loads(await result_of(shared, node(source))) == result


async def test_the_console_writes_to_both_streams(shared):
    report = await report_of(
        shared, node("console.log('out', {a: 1}); console.error('err'); process.stdout.write('p')")
    )
    assert (report.stdout, report.stderr) == ("out { a: 1 }\np", "err\n")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("10n", "result is a BigInt"),
        ("NaN", "the number NaN"),
        ("[1, -Infinity]", "result[1] is the number -Infinity"),
        ("{ a: [1, { b: () => 1 }] }", "result.a[1].b is a function"),
        ("Symbol('s')", "a symbol"),
        ("(() => { const a = {}; a.self = a; return a })()", "result.self is an object that contains itself"),
        ("new Map()", "Map"),
        ("{ s: new Set() }", "result.s is a value of type Set"),
        ("Buffer.from('a')", "binary data"),
        ("new Uint8Array(2)", "binary data"),
        ("new Error('as a value')", "Error"),
        ("'\\ud800'", "lone surrogate"),
        ("{ toJSON() { return 1n } }", "toJSON"),
        ("{ get a() { return NaN } }", "result.a is the number NaN"),
        ("(() => { let o = {}; for (let i = 0; i < 20000; i++) o = { o }; return o })()", "nested too deeply"),
        ("(() => { let o = 1; for (let i = 0; i < 1500; i++) o = [o]; return o })()", "nested too deeply"),
    ],
)
async def test_a_result_that_json_cannot_hold_fails_with_its_path(shared, value, words):
    failure = await failure_of(shared, node(f"return {value}"))
    assert failure.code is FailureCode.RESULT_NOT_SERIALIZABLE
    assert words in failure.message


@pytest.mark.parametrize(
    ("source", "name", "line", "column"),
    [
        ("const x = 1;\nthrow new TypeError('bad');", "TypeError", 2, 7),
        ("\n\n  null.x", "TypeError", 3, 8),
        ("module.exports = () => {\n  undefinedName\n}", "ReferenceError", 2, 3),
        ("setTimeout(() => { throw new RangeError('late') }, 1); await new Promise(() => {})", "RangeError", 1, 26),
        ("Promise.reject(new Error('lost')); await new Promise((r) => setTimeout(r, 50))", "Error", 1, 16),
        ("module.exports = (e, cb) => cb(new Error('called back'))", "Error", 1, 32),
        ("return { toJSON() { throw new Error('own') } }", "Error", 1, 27),
        ("return { get a() { throw new Error('own') } }", "Error", 1, 26),
        ("require('fs').readFileSync('/etc/passwd')", "Error", 1, 15),
    ],
)
async def test_a_failure_has_the_position_of_the_error_in_the_script(shared, source, name, line, column):
    failure = await failure_of(shared, node(source))
    assert (failure.code, failure.name) == (FailureCode.SCRIPT_ERROR, name)
    assert (failure.line, failure.column) == (line, column)
    assert "pglambda" not in failure.stack


async def test_a_stack_overflow_has_its_line(shared):
    failure = await failure_of(shared, node("\nfunction f() { f() }\nf()"))
    assert (failure.code, failure.name, failure.line) == (FailureCode.SCRIPT_ERROR, "RangeError", 2)


@pytest.mark.parametrize("thrown", ["'text'", "null", "{ a: 1 }", "undefined", "Object.create(null)"])
async def test_a_script_may_throw_any_value(shared, thrown):
    failure = await failure_of(shared, node(f"throw {thrown}"))
    assert failure.code is FailureCode.SCRIPT_ERROR
    assert failure.message


async def test_an_error_that_cannot_be_described_is_a_failure_of_the_script(shared):
    failure = await failure_of(shared, node("throw { get message() { throw 1 } }"))
    assert failure.code is FailureCode.SCRIPT_ERROR


@pytest.mark.parametrize(
    "source",
    ["module.exports = (event, callback) => {}", "return new Promise(() => {})", "await new Promise(() => {})"],
)
async def test_a_script_that_never_settles_fails_when_nothing_is_left_to_wait_for(shared, source):
    failure = await failure_of(shared, node(source))
    assert failure.code is FailureCode.SCRIPT_ERROR
    assert "nothing is left to wait for" in failure.message


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("process.exit(3)", FailureCode.SCRIPT_EXITED),
        ("process.abort()", FailureCode.SCRIPT_EXITED),
        ("for (;;);", FailureCode.EXECUTION_TIMEOUT),
        ("for (;;) await null", FailureCode.EXECUTION_TIMEOUT),
        ("setInterval(() => {}, 5); await new Promise(() => {})", FailureCode.EXECUTION_TIMEOUT),
        ("/(a+)+b/.test('a'.repeat(40))", FailureCode.EXECUTION_TIMEOUT),
        ("for (;;) console.log('x'.repeat(1000))", FailureCode.OUTPUT_LIMIT),
        ("return 'x'.repeat(2 << 20)", FailureCode.RESULT_TOO_LARGE),
        ("require('child_process').execSync('ls')", FailureCode.PROCESS_LIMIT),
        ("await new Promise(() => require('child_process').spawn('ls'))", FailureCode.PROCESS_LIMIT),
    ],
)
async def test_every_limit_has_its_code(shared, source, code):
    limits = SHORT if code is FailureCode.EXECUTION_TIMEOUT else evolve(SHORT, timeout_ms=20_000)
    assert (await failure_of(shared, node(source, limits=limits))).code is code


@pytest.mark.parametrize(
    "source",
    [
        "const a = []; for (;;) a.push(new Array(1000).fill(1.1))",
        "const a = []; for (;;) a.push(Buffer.alloc(10 << 20, 1))",
        "let s = 'x'; for (;;) s = s + s.slice(0, 1 << 20) + Math.random(), s.charCodeAt(0), globalThis[s.length] = s",
        "const a = []; for (;;) a.push(new WebAssembly.Memory({ initial: 160, maximum: 160 }))",
    ],
)
async def test_memory_ends_at_its_limit(shared, source):
    limits = Limits(timeout_ms=10000, memory_mb=64, isolation=Isolation.SESSION)
    failure = await failure_of(shared, node(source, limits=limits))
    assert (failure.code, failure.limit) == (FailureCode.MEMORY_LIMIT, 64 << 20)
    assert failure.observed is not None


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("await fetch('http://127.0.0.1:9000')", "the sandbox has no network: connect was refused"),
        ("await require('dns').promises.lookup('example.org')", "the sandbox has no network: getaddrinfo was refused"),
        (
            "await new Promise((_, no) => require('net').createServer().on('error', no).listen(0))",
            "the sandbox has no network: listen was refused",
        ),
    ],
)
async def test_a_failure_names_the_call_that_the_sandbox_refused(shared, source, named):
    assert named in (await failure_of(shared, node(source))).message


async def test_a_script_that_does_not_parse_fails_with_its_line(shared):
    failure = await failure_of(shared, node("let x = 1;\nlet y = (;"))
    assert (failure.code, failure.name, failure.line) == (FailureCode.SCRIPT_ERROR, "SyntaxError", 2)


async def test_large_params_arrive_whole(shared):
    assert await result_of(shared, node("return event.params.length", json.dumps("x" * 500_000))) == "500000"


async def test_output_that_fills_a_pipe_is_written_whole(shared):
    # The first use of process.stdout makes the pipe one that refuses to wait.
    report = await report_of(shared, node("process.stdout; console.log('x'.repeat(200_000)); return 1"))
    assert (report.result, len(report.stdout)) == ("1", 200_001)


async def test_partial_output_comes_back_from_a_script_that_was_killed(shared):
    report = await report_of(shared, node("console.log('begun'); for (;;);", limits=SHORT))
    assert report.stdout == "begun\n"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            "globalThis.mark = 1; Array.prototype.mark = 1; Object.prototype.mark = 1; return 1",
            "return [].mark ?? null",
        ),
        ("JSON.parse = JSON.stringify = () => 'poisoned'; return 1", "return null"),
        ("process.env.MARK = '1'; return 1", "return process.env.MARK ?? null"),
        (
            "require('fs').writeFileSync('/tmp/mark', ''); return 1",
            "return require('fs').readdirSync('/tmp')[0] ?? null",
        ),
        (
            "setInterval(() => console.log('late'), 1); return 1",
            "await new Promise((r) => setTimeout(r, 20)); return null",
        ),
        ("setInterval(() => console.log('late'), 1).unref(); return 1", "return null"),
        ("require('timers').setInterval(() => console.log('late'), 1).unref(); return 1", "return null"),
        ("process.on('beforeExit', () => console.log('late')); return 1", "return null"),
        ("require('fs').openSync('/tmp/left', 'w'); return 1", "return null"),
        ("console.count(); return 1", "console.count(); return null"),
        (
            """const load = (name) => process.mainModule.require(`/pglambda/nodejs/${name}.cjs`);
            try {
                load('frames').Channel.prototype.writeFrame = load('execution').Execution.prototype.settle = () => {};
            } catch {} // A fork has no file of the guest.
            return 1""",
            "return null",
        ),
    ],
)
async def test_nothing_of_one_execution_reaches_the_next(shared, first, second):
    ref = new_session()
    await result_of(shared, node(first, ref=ref))
    report = await report_of(shared, node(second, ref=ref))
    assert (report.result, report.failure) == ("null", None)
    assert "late" not in report.stdout
    assert "default: 2" not in report.stdout


async def test_a_worker_is_used_again_if_nothing_is_left_in_it(shared):
    source, ref = "setTimeout(() => {}, 1000); console.log(1); require('fs'); return 1", new_session()
    reports = [await report_of(shared, node(source, ref=ref)) for _ in range(2)]
    assert [report.cold_start for report in reports] == [True, False]


@pytest.mark.parametrize(
    "source",
    ["require('fs').watchFile('/tmp/none', () => {})", "require('fs').readdirSync = () => { throw new Error('own') }"],
    ids=["a handle", "a function that fails"],
)
async def test_a_worker_in_which_something_is_left_is_replaced(shared, source):
    source, ref = f"{source}; return 1", new_session()
    reports = [await report_of(shared, node(source, ref=ref)) for _ in range(2)]
    assert [report.cold_start for report in reports] == [True, True]


async def test_a_script_finds_no_part_of_the_guest_among_the_modules_of_node(shared):
    source = """
    const main = process.mainModule;
    return [Object.keys(require('module')._cache), main.children.length, Object.keys(main.exports)];
    """
    assert json.loads(await result_of(shared, node(source))) == [["/pglambda/nodejs/start.cjs"], 0, []]
