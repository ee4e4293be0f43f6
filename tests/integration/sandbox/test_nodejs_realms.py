"""Executions in Node.js share a realm if nothing of one can reach the next. Others have a new realm each."""

import json
from base64 import b64encode

import pytest

from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from tests.contracts.script_runs import LIMITS, failure_of, new_session, report_of, result_of, run_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
MEASURES_GUEST = True

# The text of a script that begins with this does not look as if it changes built-in objects.
FIND = "const of = (value) => value['const' + 'ructor']; const above = (type) => type['proto' + 'type'];"


def node(source, **options):
    return run_of(source, "{}", language=Language.NODEJS, **options)


async def values_of(runner, source, times=3, limits=LIMITS):
    ref = new_session()
    return [json.loads(await result_of(runner, node(source, ref=ref, limits=limits))) for _ in range(times)]


@pytest.mark.parametrize(
    "source",
    [
        "const seen = typeof mark; mark = 1; return seen",
        "const seen = typeof mark; this.constructor; globalThis.mark = 1; return seen",
        "const seen = typeof globalThis[7]; globalThis[7] = 1; return seen",
        "const s = Symbol.for('mark'), seen = typeof globalThis[s]; globalThis[s] = 1; return seen",
        "const seen = typeof fetch.mark; fetch = { mark: 1 }; return seen",
        "const seen = typeof console.mark; console.mark = 1; return seen",
        "const seen = typeof console.mark; console = { mark: 1 }; return seen",
        "const seen = typeof setTimeout.mark; setTimeout.mark = 1; return seen",
        "const seen = typeof setTimeout.mark; setTimeout = { mark: 1 }; return seen",
        "const seen = typeof arguments.callee.mark; arguments.callee.mark = 1; return seen",
        "const seen = typeof (/./.mark); (/./).mark = 1; return seen",
        "const seen = typeof (0, eval)('typeof mark === \"undefined\" ? undefined : 1'); (0, eval)('var mark = 1'); return seen",
        "const seen = typeof globalThis.mark, o = Object; o.defineProperty(globalThis, 'mark', { value: 1 }); return seen",
        "const seen = typeof globalThis.mark, set = Object['setProto' + 'typeOf']; set(globalThis, { mark: 1 }); return seen",
        "const seen = typeof mark, define = Object['defineProp' + 'erty']; define(globalThis, 'mark', { value: 1 }); return seen",
        "const seen = typeof mark; mark = 1; Object.freeze(globalThis); return seen",
        f"{FIND} const it = Object['getProto' + 'typeOf'](globalThis), seen = typeof mark; it.mark = 1; return seen",
        "const { get } = Object['getOwnPropertyDesc' + 'riptor'](globalThis, 'URL'), seen = typeof get.mark; get.mark = 1; return seen",
        "const { set } = Object['getOwnPropertyDesc' + 'riptor'](globalThis, 'URL'), seen = typeof set.mark; set.mark = 1; return seen",
        "const { get } = Object['getOwnPropertyDesc' + 'riptor'](Error(''), 'stack'), seen = typeof get.mark; get.mark = 1; return seen",
        "const seen = typeof mark; process.getBuiltinModule('vm').runInContext('let mark = 1', globalThis); return seen",
    ],
)  # fmt: skip
async def test_the_next_execution_finds_no_change_of_a_global(shared, source):
    assert await values_of(shared, source) == ["undefined"] * 3


@pytest.mark.parametrize(
    "change",
    [
        "Object.preventExtensions(all)", "delete all.fetch", "delete all.setTimeout", "delete all.Map",
        "Object['defineProp' + 'erty'](all, 'fetch', { value: 1 })",
        "Object['defineProp' + 'erty'](all, 'global', { get: () => 1 })",
        "Object['defineProp' + 'erty'](all, 'Map', { value: 1 })", "all['Ma' + 'p'] = 1", "all['fet' + 'ch'] = 1",
    ],
)  # fmt: skip
async def test_the_next_execution_finds_no_change_of_the_global_object(shared, change):
    source = f"""{FIND} const all = of(() => 1)('return this')(); mark = 1;
    const seen = [typeof mark, typeof fetch, typeof setTimeout, typeof global, typeof new Map()];
    try {{ {change} }} catch {{}}
    return seen"""
    assert await values_of(shared, source) == [["number", "function", "function", "object", "object"]] * 3


@pytest.mark.parametrize("first", ["'secret'.match(/s(.*)t/)", "RegExp.input = 'ecre'", "'ecre'.replace(/(.+)/, '')"])
async def test_the_next_execution_finds_no_match_of_regular_expressions(shared, first):
    matches = "[RegExp.$1, RegExp.lastMatch, RegExp.input, RegExp.leftContext, RegExp.rightContext, RegExp.lastParen]"
    assert await values_of(shared, f"const found = {matches}; {first}; return found") == [[""] * 6] * 3


@pytest.mark.parametrize(
    "built_in",
    [
        "above(of([]))", "of([])", "above(of({}))", "of({})", "above(of(() => 1))", "[].map", "JSON", "Math", "Intl",
        "above(of(async () => 1))", "above(of(function* () {}))", "Object.getPrototypeOf(function* () {}())",
        "above(Object.getPrototypeOf(async function* () {}))", "Object.getPrototypeOf([].values())",
        "Object.getPrototypeOf(Object.getPrototypeOf([].values()))", "Object.getPrototypeOf(''.matchAll(/x/g))",
        "Object.getPrototypeOf(new Map().entries())", "Object.getPrototypeOf(''[Symbol.iterator]())",
        "Object.getPrototypeOf(new Intl.Segmenter().segment('x'))",
        "Object.getPrototypeOf(new Intl.Segmenter().segment('x')[Symbol.iterator]())",
        "Object.getPrototypeOf([].values().map((x) => x))", "Object.getPrototypeOf(Iterator.from({ next() {} }))",
        "Object.getOwnPropertyDescriptor(above(Map), 'size').get", "above(of(new Error()))", "WebAssembly", "Atomics",
        "above(of(Promise.resolve()))", "of(new Uint8Array())", "Object.getPrototypeOf(Uint8Array)",
        "Object.getOwnPropertyDescriptor((function () { 'use strict'; return arguments })(), 'callee').get",
        "(0, of(() => 1))('return Symbol')()",
    ],
)  # fmt: skip
async def test_the_next_execution_finds_nothing_added_to_built_in_objects(shared, built_in):
    source = f"{FIND} const it = {built_in}; const seen = typeof it.mark; it.mark = 1; return seen"
    assert await values_of(shared, source) == ["undefined"] * 3


@pytest.mark.parametrize(
    "change",
    [
        "above(of({})).toString = () => 'other'",
        "Object['defineProp' + 'erty'](above(of({})), 'toString', { value: () => 'other', writable: false })",
        "Object.freeze(above(of({})))", "above(of({}))['const' + 'ructor'] = class other {}",
        "above(of(new Error())).name = 'other'", "above(of(new TypeError())).message = 'other'",
        "above(of(() => 1)).call = 'other'", "const d = Date; d.now = () => 'other'",
        "above(of(/./)).test = 'other'", "above(of(/./)).mark = 'other'",
        "above(of(Promise.resolve())).then = 'other'", "above(of(Promise.resolve())).mark = 'other'",
        "const m = Math; m.max = 'other'", "const o = JSON; o.parse = 'other'", "all['Ma' + 'p'] = 'other'",
    ],
)  # fmt: skip
async def test_the_next_execution_finds_no_change_of_built_in_objects(shared, change):
    source = f"""{FIND} const all = of(() => 1)('return this')(), own = {{}}; own.toString = 1;
    const seen = [`${{{{}}}}`, String(new Error('x')), String(new TypeError()), typeof (() => 1).call, of({{}}).name,
      own.toString, typeof Date.now(), /x/.exec('x')[0], /x/.mark, await new Promise((r) => r(2)).then((x) => x),
      Promise.resolve().mark, Math.max(3), JSON.parse('4'), typeof new Map()];
    try {{ {change} }} catch {{}}
    return seen"""
    expected = ["[object Object]", "Error: x", "TypeError", "function", "Object", 1]
    expected += ["number", "x", None, 2, None, 3, 4, "object"]
    assert await values_of(shared, source) == [expected] * 3


async def test_no_object_that_a_built_in_function_makes_leads_to_an_open_one(shared):
    # Every function that can be reached is called and constructed, with values of several kinds.
    source = """
    const names = Object.getOwnPropertyNames(globalThis).filter((name) => {
      const { value } = Object.getOwnPropertyDescriptor(globalThis, name);
      return value === Object(value) && value !== globalThis;
    });
    const left = [], seen = new Set(), open = new Set();
    const see = (value, path) => {
      if (value !== Object(value) || value === globalThis || seen.has(value)) return;
      seen.add(value);
      left.push([value, path]);
    };
    const compared = [RegExp.prototype, Promise.prototype];
    const isClosed = (value) => Object.isSealed(value) || compared.includes(value);
    const look = (value, path) => {
      for (let above = value; above !== null; above = Object.getPrototypeOf(above)) {
        if (above !== value && !isClosed(above)) open.add(path);
        see(above, path);
      }
    };
    names.forEach((name) => look(globalThis[name], name));
    const samples = [undefined, 1, 'text', [1], {}, () => [], new Map([[1, 2]]), new ArrayBuffer(8), /x/g, 1n];
    const quiet = /^(Atomics.wait|.*(\\.|^)(eval|at|repeat|padStart|padEnd|fill|Array|grow|resize|with)$)/;
    const attempt = (make, path) => {
      let made;
      try { made = make(); } catch { return; }
      if (made !== Object(made) || Object.isSealed(made)) return;
      look(made, path);
      try { look(made[Symbol.iterator]?.(), path + '[iterator]'); } catch {}
      try { made.then?.(() => 1, () => 1); } catch {}
    };
    while (left.length > 0 && seen.size < 20000) {
      const [value, path] = left.pop();
      for (const key of Reflect.ownKeys(value)) {
        const { value: member, get, set } = Object.getOwnPropertyDescriptor(value, key);
        [member, get, set].forEach((each) => see(each, path + '.' + String(key)));
      }
      if (typeof value !== 'function' || quiet.test(path) || !Object.isSealed(value)) continue;
      for (const sample of samples) {
        attempt(() => value(sample), path + '()');
        attempt(() => value.call(sample), path + '.call()');
        attempt(() => new value(sample), 'new ' + path);
      }
    }
    return [seen.size > 800, [...open].slice(0, 20)];
    """
    # The text itself would get a new realm.
    hidden = f"{FIND} return of(() => 1)(atob('{b64encode(source.encode()).decode()}'))()"
    limits = Limits(timeout_ms=20_000, memory_mb=128, isolation=Isolation.SESSION)
    assert await values_of(shared, hidden, times=1, limits=limits) == [[True, []]]


async def test_a_change_without_effect_throws_in_strict_code(shared):
    ref, source = new_session(), f"'use strict'; {FIND} above(of([])).mark = 1;"
    failure = await failure_of(shared, node(source, ref=ref))
    assert failure.name == "TypeError"
    assert "object is not extensible" in failure.message


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("Array.prototype.last = function () { return this.at(-1) }; return [1, 2].last()", 2),
        ("const had = 'mark' in Math; Math.mark = 1; return [had, Math.mark]", [False, 1]),
        ("const had = typeof Error.mark; Error['mark'] ??= 1; return [had, Error.mark]", ["undefined", 1]),
        ("Error.stackTraceLimit = 0; return new Error('x').stack", "Error: x"),
        ("Object.defineProperty(globalThis, 'fetch', { value: 1 }); return fetch", 1),
        ("const was = typeof escape; escape = 1; return [was, escape]", ["function", 1]),
        ("const was = typeof fetch; delete globalThis.fetch; return [was, typeof fetch]", ["function", "undefined"]),
        ("globalThis.Map = 1; return Map", 1),
        ("Object.assign(Math, { mark: 1 }); return Math.mark", 1),
        ("[].constructor.mark = 1; return Array.mark", 1),
    ],
)
async def test_a_script_can_change_built_in_objects_in_each_execution(shared, source, result):
    assert await values_of(shared, source) == [result] * 3


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("const error = new Error('x'); error.name = 'Mine'; return String(error)", "Mine: x"),
        ("class Mine extends Error { constructor(m) { super(m); this.name = 'Mine' } }; return String(new Mine('x'))",
         "Mine: x"),
        ("class Mine extends TypeError { get name() { return 'Mine' } }; return String(new Mine('x'))", "Mine: x"),
        ("const o = {}; o.toString = () => 'mine'; return [`${o}`, Object.keys(o)]", ["mine", ["toString"]]),
        ("const counts = {}; for (const word of ['constructor', 'valueOf']) counts[word] = 1; return counts",
         {"constructor": 1, "valueOf": 1}),
        ("'use strict'; const o = {}; o.hasOwnProperty = 1; o.valueOf = 2; return o",
         {"hasOwnProperty": 1, "valueOf": 2}),
        ("'text'.toString = 1; return 'text'.toString()", "text"),
        ("return [{}.hasOwnProperty.call({ a: 1 }, 'a'), ({}).toString(), `${{}}`]",
         [True, "[object Object]", "[object Object]"]),
        ("class List extends Array { push(...v) { return super.push(...v, 0) } }; const l = new List(); l.push(1); return l",
         [1, 0]),
        ("const { a, ...rest } = { a: 1, b: 2 }; return Object.assign(rest, { toString: 3 })", {"b": 2, "toString": 3}),
        ("const seen = []; for (const { segment } of new Intl.Segmenter('en').segment('ab')) seen.push(segment); return seen",
         ["a", "b"]),
        ("class Mine extends Set { constructor() { super(); this.add = this.add.bind(this) } }; return new Mine().add(1).size",
         1),
        ("const d = new Date(0); d.toJSON = () => 'mine'; return d", "mine"),
        ("'use strict'; const l = []; l.filter = 1; const m = new Map(); m.get = () => 2; return [l.filter, m.get()]",
         [1, 2]),
        ("const was = Date.now; Date['now'] = () => 5; const now = Date.now(); Date['now'] = was; return now", 5),
        ("escape = 1; return escape", 1),
        ("URL = 5; setTimeout = 6; return [URL, setTimeout, typeof global.URL]", [5, 6, "number"]),
        ("const had = setTimeout; return [had === setTimeout, console === console, global === globalThis]", [True] * 3),
        ("return [...'aXbX'.matchAll(/X/g)].length + 'aXb'.split('X').length", 4),
        ("return [typeof name, typeof event, typeof Buffer.from, typeof require]",
         ["undefined", "object", "function", "function"]),
        ("return Object.keys(globalThis)", []),
    ],
)  # fmt: skip
async def test_common_scripts_run_with_sealed_built_in_objects(shared, source, result):
    assert await values_of(shared, source) == [result] * 3


@pytest.mark.parametrize(
    "later",
    [
        "AbortSignal.timeout(10).addEventListener('abort', tell)",
        "require('crypto').pbkdf2('a', 'b', 20000, 64, 'sha512', tell)",
        "require('zlib').gzip(Buffer.alloc(2e6), tell)",
        "crypto.subtle.digest('SHA-256', Buffer.alloc(5e6)).then(tell)",
        "import('node:timers').then((timers) => timers.setTimeout(tell, 10).unref())",
        "Atomics.waitAsync(new Int32Array(new SharedArrayBuffer(8)), 0, 0, 10).value.then(tell)",
        "const a = Atomics; a['wait' + 'Async']?.(new Int32Array(new SharedArrayBuffer(8)), 0, 0, 10).value.then(tell)",
    ],
)
async def test_a_late_callback_does_not_reach_the_next_execution(shared, later):
    ref = new_session()
    await result_of(shared, node(f"const tell = () => {{ mark = 1; fetch = 2 }}; {later}; return 1", ref=ref))
    look = "await new Promise((r) => setTimeout(r, 60)); return [typeof mark, typeof fetch]"
    assert await result_of(shared, node(look, ref=ref)) == '["undefined","function"]'


@pytest.mark.parametrize("piece", ["A.", "A[", "global.", "Foo.Bar [x", '"Abc": ["', "delete  "])
async def test_a_long_script_of_any_text_is_examined_in_time(shared, piece):
    source = f"/* {piece * (500_000 // len(piece))} */ return 1"
    assert await result_of(shared, node(source)) == "1"


async def test_a_worker_that_shares_its_realm_is_used_again(shared):
    ref = new_session()
    reports = [await report_of(shared, node("mark = 1; return 1", ref=ref)) for _ in range(3)]
    assert [report.cold_start for report in reports] == [True, False, False]


@pytest.mark.parametrize("type_of", ["/./", "Promise.resolve()"])
async def test_no_code_of_a_script_runs_when_its_changes_are_looked_for(shared, type_of):
    ref = new_session()
    define = f"Object['defineProp' + 'erty'](above(of({type_of})), name, {{ get() {{ throw new Error('late') }} }})"
    source = f"{FIND} for (const name of ['test', 'finally']) {define}; return 1"
    reports = [await report_of(shared, node(source, ref=ref)) for _ in range(2)]
    assert [(report.result, report.cold_start) for report in reports] == [("1", True), ("1", False)]


async def test_a_change_of_the_functions_that_look_for_changes_is_found(shared):
    source = f"""{FIND} const list = above(of([])), seen = typeof of(/./).mark + typeof (/./).mark;
    list.some = () => false; list.every = () => true; list.flatMap = () => []; above(of(/./)).mark = 1;
    return seen"""
    assert await values_of(shared, source) == ["undefinedundefined"] * 3


async def test_each_script_of_a_session_has_the_kind_of_realm_that_it_needs(shared):
    ref = new_session()
    sources = ("return [].mark ?? 0", "Array.prototype.mark = 1; return [].mark", "return [].mark ?? 0")
    assert [await result_of(shared, node(source, ref=ref)) for source in sources] == ["0", "1", "0"]
