// Runs Node scripts inside the sandbox: reads operations from one descriptor and answers each of them.
//
// An operation and an answer are frames: two little-endian lengths, a JSON header, a body. Nothing here is a boundary
// (node:vm is none): the sandbox around this process is. What is here keeps executions of one session apart and
// explains failures.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');
const { Console } = require('node:console');
const { createRequire, isBuiltin } = require('node:module');

const FILE_NAME = 'script.js';
const GLUE_NAME = 'pglambda:glue';
const TEXT_MAX = 16384;
const SCRATCH = '/tmp';
const PARAMETERS = 'event, require, module, exports';
// Modules that can leave something behind which nothing here would see.
const LASTING = new Set(
  ['timers', 'timers/promises', 'worker_threads', 'async_hooks', 'vm', 'v8', 'inspector', 'module', 'cluster', 'repl'],
);

const channel = Number(process.argv[2]);
process.argv.length = 1;

// The channel.

const pause = new Int32Array(new SharedArrayBuffer(4));

function patiently(call) {
  for (;;) {
    try {
      return call();
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      Atomics.wait(pause, 0, 0, 1);
    }
  }
}

function writeAll(descriptor, bytes) {
  for (let at = 0; at < bytes.length; ) at += patiently(() => fs.writeSync(descriptor, bytes, at));
}

const buffer = Buffer.allocUnsafe(65536);
let buffered = buffer.subarray(0, 0);

function readExactly(size) {
  if (buffered.length < size && size <= buffer.length) {
    buffer.set(buffered);
    let filled = buffered.length;
    while (filled < size) filled += readSome(buffer, filled);
    buffered = buffer.subarray(0, filled);
  }
  if (buffered.length >= size) {
    const taken = Buffer.from(buffered.subarray(0, size));
    buffered = buffered.subarray(size);
    return taken;
  }
  const large = Buffer.allocUnsafe(size);
  large.set(buffered);
  let filled = buffered.length;
  buffered = buffer.subarray(0, 0);
  while (filled < size) filled += readSome(large, filled);
  return large;
}

function readSome(target, at) {
  const size = patiently(() => fs.readSync(channel, target, at, target.length - at));
  if (size === 0) process.reallyExit(0); // the service has gone
  return size;
}

function readFrame() {
  const lengths = readExactly(8);
  const header = JSON.parse(readExactly(lengths.readUInt32LE(0)).toString());
  return [header, readExactly(lengths.readUInt32LE(4)).toString()];
}

function writeFrame(header, body = '') {
  const head = Buffer.from(JSON.stringify(header));
  const tail = Buffer.from(body);
  const lengths = Buffer.allocUnsafe(8);
  lengths.writeUInt32LE(head.length, 0);
  lengths.writeUInt32LE(tail.length, 4);
  writeAll(channel, Buffer.concat([lengths, head, tail]));
}

// Scripts.

const AsyncFunction = (async () => {}).constructor;

function compile(source) {
  // The wrapper has a line of its own, so that the script keeps its lines and columns.
  return new vm.Script(`(async function (${PARAMETERS}) {\n${source}\n})`, {
    filename: FILE_NAME,
    lineOffset: -1,
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
}

function parse(source) {
  const script = compile(source);
  // A body that closes the wrapper parses as part of it, and not as a body of its own.
  new AsyncFunction(...PARAMETERS.split(', '), source);
  return script;
}

function faultOf(error, source) {
  if (error instanceof RangeError) return { message: 'too large or too deep to check', line: null, column: null };
  if (error.message === 'Single function literal required') {
    return { message: 'the script closes the function that it is the body of', line: null, column: null };
  }
  const lines = source.split('\n').length;
  const [, line] = /^script\.js:(\d+)/.exec(String(error.stack)) ?? [];
  const caret = /^( *)\^/m.exec(String(error.stack));
  const at = line === undefined ? null : Math.min(Math.max(Number(line), 1), lines);
  return {
    message: explainModuleSyntax(String(error.message)),
    line: at,
    column: at === null || caret === null || Number(line) > lines ? (at === null ? null : 1) : caret[1].length + 1,
  };
}

function explainModuleSyntax(message) {
  const ofModules = /import statement|import\.meta|token 'export'|import call expects/.test(message);
  return ofModules ? `${message}. ES module syntax is not supported here: use require() and module.exports` : message;
}

function check(source) {
  try {
    parse(source);
    return null;
  } catch (error) {
    return faultOf(error, source);
  }
}

// What a script finds: the names that Node has and plain JavaScript has not, each looked up when it is used. What a
// script puts in their place is its execution's alone.

const firstContext = vm.createContext(vm.constants.DONT_CONTEXTIFY);
const plain = new Set(Object.getOwnPropertyNames(firstContext));
const stdout = { write: (text) => writeAll(1, Buffer.from(text)) };
const stderr = { write: (text) => writeAll(2, Buffer.from(text)) };
// What each execution has of its own.
const made = {
  global: (execution) => execution.realm.context,
  console: () => new Console({ stdout, stderr, colorMode: false, ignoreErrors: false }),
  setTimeout: (execution) => (...given) => execution.keep(setTimeout(...given)),
  setInterval: (execution) => (...given) => execution.keep(setInterval(...given)),
  setImmediate: (execution) => (...given) => execution.keep(setImmediate(...given)),
};
const hostNames = Object.getOwnPropertyNames(globalThis).filter((name) => !plain.has(name) || Object.hasOwn(made, name));
// Names and modules by which nothing of an execution can call back when it is over.
const QUIET = new Set([
  ...Object.keys(made), 'clearTimeout', 'clearInterval', 'clearImmediate', 'queueMicrotask', 'structuredClone', 'Buffer',
  'URL', 'URLSearchParams', 'TextEncoder', 'TextDecoder', 'atob', 'btoa', 'Event', 'EventTarget', 'AbortController',
  'DOMException', 'Headers', 'FormData',
]);
const QUIET_MODULES = new Set(['path', 'util', 'assert', 'url', 'querystring', 'buffer', 'string_decoder', 'events', 'os']);

const hostRequire = createRequire('/script.js');

const glue = new vm.Script(
  `(function (main, eventText, requireBuiltin, host) {
  'use strict';
  const { parse, stringify } = JSON;
  const { isFinite } = Number;
  const tagOf = Function.prototype.call.bind(Object.prototype.toString);
  const isView = ArrayBuffer.isView;
  const unserializable = /^\\[object (Map|Set|WeakMap|WeakSet|WeakRef|Promise|ArrayBuffer|SharedArrayBuffer|RegExp|Error|Generator|AsyncGenerator)\\]$/;

  function wrong(value) {
    switch (typeof value) {
      case 'number': return isFinite(value) ? null : 'the number ' + value;
      case 'bigint': return 'a BigInt';
      case 'function': return 'a function';
      case 'symbol': return 'a symbol';
      case 'object': {
        if (value === null) return null;
        if (isView(value)) return 'binary data';
        const tag = unserializable.exec(tagOf(value));
        return tag === null ? null : 'a value of type ' + tag[1];
      }
      default: return null;
    }
  }
  function find(value, path, above) {
    const reason = wrong(value);
    if (reason !== null) return path + ' is ' + reason + ', which JSON cannot hold.';
    if (typeof value !== 'object' || value === null || typeof value.toJSON === 'function') return null;
    if (above.includes(value)) return path + ' is an object that contains itself, which JSON cannot hold.';
    if (above.length > 200) return 'The result is nested too deeply for JSON.';
    for (const key of Object.keys(value)) {
      const found = find(value[key], Array.isArray(value) ? path + '[' + key + ']' : path + '.' + key, [...above, value]);
      if (found !== null) return found;
    }
    return null;
  }
  function checked(key, value) {
    const original = this[key];
    if (isView(original) || wrong(value) !== null) throw unserializable;
    return value;
  }
  function textOf(value) {
    if (value === undefined) return 'null';
    let text;
    try {
      text = stringify(value, checked);
    } catch (error) {
      const found = find(value, 'result', []);
      if (found === null && error !== unserializable) throw error;
      throw { notSerializable: found ?? 'What toJSON returned cannot be written as JSON.' };
    }
    return text === undefined ? 'null' : text;
  }
  function succeed(value) {
    let text;
    try { text = textOf(value); } catch (error) { return host.fail(error); }
    host.succeed(text);
  }

  const module = { exports: {} };
  const exported = () =>
    typeof module.exports === 'function' ? module.exports
      : typeof module.exports?.handler === 'function' ? module.exports.handler : null;
  const event = parse(eventText);

  function call(handler) {
    if (handler.length < 2) return handler(event);
    const returned = handler(event, (error, result) => (error == null ? succeed(result) : host.fail(error)));
    return { then: (resolve, reject) => Promise.resolve(returned).then((v) => v === undefined || resolve(v), reject) };
  }
  async function run() {
    const returned = await main.call(module.exports, event, requireBuiltin, module, module.exports);
    const handler = exported();
    return handler === null ? returned : call(handler);
  }
  run().then(succeed, host.fail);
})`,
  { filename: GLUE_NAME },
);

// Realms.
//
// An execution finds globals and built-in objects that no other has changed. A new realm takes eight times as long as
// the rest of a run. So one realm is kept for all executions: nothing can be added to its built-in objects or taken
// away, and what is changed is found afterwards. A script that looks as if it added something has a new realm each time,
// where it can, and so has one that has once left something behind, or may be called back when its execution is over.

const CHANGE = String.raw`\s{0,9}(?:[-+*/%&|^?<>]{0,3}=(?![=>])|\+\+|--)`;
const MEMBER = String.raw`\s{0,9}(?:\.\s{0,9}\w{1,60}|\[[^\]]{0,60}\])`;
// Nothing in it is repeated without a bound: a script may be long, and hostile.
const looksLikeAdding = new RegExp([
  String.raw`\b(?:prototype|__\w{1,60}__|defineProperty|defineProperties|[gs]etPrototypeOf|Reflect|Proxy|eval|Function)\b`,
  String.raw`[.['"\x60]\s{0,9}constructor\b`,
  String.raw`\b(?:assign\s{0,9}\(|delete)\s{0,9}(?:global|[A-Z])`,
  String.raw`\b(?:[A-Z]\w{0,60}|global|globalThis)(?:${MEMBER}){1,4}${CHANGE}`,
  String.raw`\b(?:import\s{0,9}\(|WeakRef\b|FinalizationRegistry\b|waitAsync\b)`,
].join('|'));

const harden = new vm.Script(
  `(function () {
  'use strict';
  const { seal, isExtensible, getPrototypeOf, getOwnPropertyDescriptor, defineProperty } = Object;
  const { ownKeys } = Reflect;

  // They call back later.
  delete globalThis.FinalizationRegistry;
  delete globalThis.WeakRef;
  delete Atomics.waitAsync;

  const found = new Set();
  const left = [];
  const holders = [], names = [], values = []; // of what could be changed, as it is now
  const untouched = new Set([RegExp.prototype, Promise.prototype]); // else they would be slow
  function reach(value) {
    if (value !== Object(value) || value === globalThis || found.has(value)) return;
    found.add(value);
    left.push(value);
  }
  function watch(holder) {
    const keys = ownKeys(holder);
    if (typeof holder === 'function' && keys.length === 2) return; // its name and its length
    for (const key of keys) {
      const { value, writable, get, set } = getOwnPropertyDescriptor(holder, key);
      if (writable === true && !untouched.has(holder)) holders.push(holder), names.push(key), values.push(value);
      reach(value), reach(get), reach(set);
    }
  }
  function sealAll() {
    while (left.length > 0) {
      const next = left.pop();
      reach(getPrototypeOf(next));
      watch(next);
      if (!untouched.has(next)) seal(next);
    }
  }
  function shapeOf(holder) {
    const keys = ownKeys(holder);
    return [isExtensible(holder), getPrototypeOf(holder), keys.length, ...keys.flatMap((key) => {
      const { value, get, set, configurable, writable } = getOwnPropertyDescriptor(holder, key);
      return [key, value, get, set, configurable, writable];
    })];
  }

  watch(globalThis);
  reach(getPrototypeOf(globalThis));
  for (const key of ownKeys(globalThis)) defineProperty(globalThis, key, { configurable: false });
  // What syntax and calls make, and no name leads to.
  [
    async function () {}, function* () {}, async function* () {},
    [].values(), ''[Symbol.iterator](), new Map().keys(), new Set().keys(), ''.matchAll(/./g),
    getOwnPropertyDescriptor(function () { return arguments; }(), 'callee').get,
  ].forEach(reach);
  if (typeof Iterator === 'function') [Iterator.from({ next() {} }), [].values().map((each) => each)].forEach(reach);
  if (typeof Intl === 'object') {
    // The first segments of a process take 7 ms to make.
    const holder = Intl.Segmenter.prototype;
    const segment = Function.prototype.call.bind(holder.segment);
    holder.segment = { segment(text) {
      const segments = segment(this, text);
      reach(getPrototypeOf(segments));
      reach(getPrototypeOf(segments[Symbol.iterator]()));
      sealAll();
      return segments;
    } }.segment;
  }
  sealAll();

  const { exec } = RegExp.prototype;
  const shapes = [...untouched].map((holder) => [holder, shapeOf(holder)]);
  // Whether everything is as it was.
  return () => {
    for (let at = 0; at < holders.length; at += 1) {
      // No code of a script runs here: a member of a sealed object stays a plain one.
      if (holders[at][names[at]] !== values[at]) return false;
      // Who freezes an object freezes its first member.
      if (holders[at] !== holders[at - 1] && !getOwnPropertyDescriptor(holders[at], names[at]).writable) return false;
    }
    // What this calls has just been found to be as it was.
    for (const [holder, shape] of shapes) {
      const now = shapeOf(holder);
      if (now.length !== shape.length || now.some((each, at) => each !== shape[at])) return false;
    }
    RegExp.input = '';
    exec.call(/(?:)/, '');
    return true;
  };
})`,
  { filename: GLUE_NAME },
);

class Realm {
  constructor(context) {
    this.context = context;
    this.execution = null;
    for (const name of hostNames) {
      Object.defineProperty(context, name, {
        get: () => this.execution.global(name),
        set: (value) => this.execution.globals.set(name, value),
        enumerable: false,
        configurable: true,
      });
    }
    this.start = glue.runInContext(context);
  }

  // Whether the next execution finds in it what this one has found.
  clear() {
    return false;
  }
}

class KeptRealm extends Realm {
  constructor(context) {
    for (const name of Object.keys(made)) delete context[name];
    const isAsItWas = harden.runInContext(context)();
    super(context);
    this.isAsItWas = isAsItWas;
    for (const name of hostNames) Object.defineProperty(context, name, { configurable: false });
    this.names = new Set(Reflect.ownKeys(context));
    this.prototype = Object.getPrototypeOf(context);
  }

  clear() {
    for (const name of Reflect.ownKeys(this.context)) {
      if (!this.names.has(name) && !Reflect.deleteProperty(this.context, name)) return false;
    }
    const isItself = Object.getPrototypeOf(this.context) === this.prototype && Object.isExtensible(this.context);
    return isItself && this.isAsItWas();
  }
}

// Failures.

function failureOf(error) {
  if (error?.notSerializable !== undefined && Object.keys(error).length === 1) {
    return { code: 'RESULT_NOT_SERIALIZABLE', message: cut(String(error.notSerializable)) };
  }
  return { code: codeOf(error), ...described(error) };
}

function codeOf(error) {
  if (error === null || typeof error !== 'object') return 'SCRIPT_ERROR';
  const { code, syscall, message } = error;
  if (code === 'ERR_MEMORY_ALLOCATION_FAILED' || /^Array buffer allocation failed/.test(message)) return 'MEMORY_LIMIT';
  if (/WebAssembly\.Memory\(\): could not allocate memory/.test(message)) return 'MEMORY_LIMIT';
  if (code === 'EAGAIN' && /^(spawn|fork)/.test(syscall)) return 'PROCESS_LIMIT';
  if (code === 'ERR_WORKER_INIT_FAILED') return 'PROCESS_LIMIT';
  return 'SCRIPT_ERROR';
}

function described(error) {
  const isError = error !== null && typeof error === 'object' && 'message' in error;
  if (!isError) return { message: cut(`The script threw ${inspected(error)}`) };
  const stack = ownLines(String(error.stack ?? ''));
  const [, line, column] = /script\.js:(\d+)(?::(\d+))?/.exec(stack) ?? [];
  const name = cut(String(error.name ?? 'Error'), 200);
  return {
    name,
    message: cut(explainModuleSyntax(String(error.message)) + refusalIn(error)),
    stack: cut(stack),
    line: line === undefined ? null : Number(line),
    column: column === undefined ? null : Number(column),
  };
}

// The call that the sandbox refused, as far as the error or its cause tells.
function refusalIn(error) {
  const { code, syscall } = error.syscall === undefined && error.cause ? error.cause : error;
  if (/^(connect|bind|listen|socket)/.test(syscall) || /^(getaddrinfo|query)/.test(syscall)) {
    return ` (the sandbox has no network: ${syscall} was refused)`;
  }
  return code === 'EPERM' && syscall !== undefined ? ` (the sandbox refuses ${syscall})` : '';
}

const ownLines = (stack) =>
  stack.split('\n').filter((line) => !/^ +at .*(worker\.cjs|pglambda:glue|node:internal|node:vm|node:fs:)/.test(line)).join('\n');

function inspected(value) {
  return require('node:util').inspect(value, { depth: 2, maxStringLength: 1000 });
}

const cut = (text, sizeMax = TEXT_MAX) => (text.length <= sizeMax ? text : `${text.slice(0, sizeMax)}...`).toWellFormed();

function safely(describe, error) {
  try {
    return describe(error);
  } catch {
    return { code: 'SCRIPT_ERROR', message: 'The script threw something that cannot be described.' };
  }
}

// One execution and what it leaves behind.

let script = null;
let wantsNewRealms = false;
let current = null;
// Made while nothing is asked: it takes longer than most scripts.
let realm = new KeptRealm(firstContext);

function makeReady() {
  const kind = wantsNewRealms ? Realm : KeptRealm;
  if (realm?.constructor !== kind) realm = new kind(vm.createContext(vm.constants.DONT_CONTEXTIFY));
  return realm;
}

class Execution {
  constructor(operation, eventText) {
    this.operation = operation;
    this.eventText = eventText;
    this.globals = new Map();
    this.timers = new Set();
    this.reusable = true;
    this.settled = false;
    this.realm = makeReady();
    this.realm.execution = this;
    this.isQuiet = true; // nothing of it can call back when it is over
  }

  run() {
    if (script instanceof Error) return this.fail(script);
    const { context, start } = this.realm;
    try {
      const main = script.runInContext(context);
      const host = { succeed: (text) => this.succeed(text), fail: (error) => this.fail(error) };
      start(main, this.eventText, (name) => this.require(name), host);
    } catch (error) {
      this.fail(error);
    }
  }

  // What the script finds under a name of Node's.
  global(name) {
    this.isQuiet &&= QUIET.has(name);
    if (!this.globals.has(name)) this.globals.set(name, Object.hasOwn(made, name) ? made[name](this) : globalThis[name]);
    return this.globals.get(name);
  }

  keep(timer) {
    this.timers.add(timer);
    return timer;
  }

  require(name) {
    if (!isBuiltin(String(name))) {
      const error = new Error(`Cannot find module '${name}': only Node's own modules are here`);
      throw Object.assign(error, { code: 'MODULE_NOT_FOUND' });
    }
    const plainName = String(name).replace(/^node:/, '');
    if (LASTING.has(plainName)) this.reusable = false;
    this.isQuiet &&= QUIET_MODULES.has(plainName);
    return hostRequire(name);
  }

  succeed(text) {
    const size = Buffer.byteLength(text);
    if (size > this.operation.result_size_max) {
      return this.settle({ kind: 'failure', failure: { code: 'RESULT_TOO_LARGE', message: '', observed: size } });
    }
    if (text.includes('\\ud') && /(?:^|[^\\])(?:\\\\)*\\ud[89a-f]/.test(text)) {
      return this.fail({ notSerializable: 'The result has a string with a lone surrogate, which JSON cannot hold.' });
    }
    this.settle({ kind: 'result' }, text);
  }

  fail(error) {
    this.settle({ kind: 'failure', failure: safely(failureOf, error) });
  }

  settle(header, body) {
    if (this.settled) return;
    this.settled = true;
    // What the script left in the queue of microtasks runs out before the answer, never in the next execution.
    setImmediate(() => {
      writeFrame({ nonce: this.operation.nonce, ...header, reusable: this.tidy() }, body);
      serve();
    });
  }

  tidy() {
    try {
      for (const timer of this.timers) (clearTimeout(timer), clearImmediate(timer));
      for (const name of Object.keys(process.env)) delete process.env[name];
      process.exitCode = undefined;
      process.chdir(SCRATCH);
      for (const name of fs.readdirSync(SCRATCH)) fs.rmSync(path.join(SCRATCH, name), { recursive: true, force: true });
      if (!this.isQuiet || !this.realm.clear()) {
        realm = null;
        wantsNewRealms = true;
      }
      return this.reusable && nothingIsLeft();
    } catch {
      return false;
    }
  }
}

function lowestFreeDescriptor() {
  const descriptor = fs.openSync(SCRATCH);
  fs.closeSync(descriptor);
  return descriptor;
}

const listenersOf = (emitter) => emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name), 0);

function nothingIsLeft() {
  return (
    process.getActiveResourcesInfo().length === 0 &&
    lowestFreeDescriptor() === found.descriptor &&
    listenersOf(process) === found.listeners
  );
}

function serve() {
  for (;;) {
    if (buffered.length === 0) makeReady();
    const [operation, body] = readFrame();
    if (operation.op === 'check') {
      writeFrame({ nonce: operation.nonce, kind: 'checked', fault: check(body) });
    } else if (operation.op === 'load') {
      load(body);
    } else {
      current = new Execution(operation, body);
      current.run();
      return;
    }
  }
}

function load(source) {
  try {
    script = parse(source);
  } catch (error) {
    script = error;
  }
  wantsNewRealms = looksLikeAdding.test(source);
}

process.on('uncaughtException', (error) => current?.fail(error));
process.on('unhandledRejection', (reason) => current?.fail(reason));
process.on('beforeExit', () =>
  current?.fail(new Error(
    'The script ended without a result: it neither called back nor settled its promise, and nothing is left to wait for',
  )),
);
for (const name of Object.keys(process.env)) delete process.env[name];
process.chdir(SCRATCH);
const found = { descriptor: lowestFreeDescriptor(), listeners: listenersOf(process) };
writeFrame({ kind: 'ready', nonce: '' });
serve();
