// One execution of a script: what the script finds, how it ends, and what is removed after it.
'use strict';

const fs = require('node:fs');
const { failureOf } = require('./failures.cjs');
const { OWN_GLOBALS, valueOfGlobal } = require('./realms.cjs');

const SCRATCH = '/tmp';
// Modules that can leave something behind which ExecutionScope does not see.
const LASTING_MODULES = new Set(
  ['timers', 'timers/promises', 'worker_threads', 'async_hooks', 'vm', 'v8', 'inspector', 'module', 'cluster', 'repl'],
);
// Globals and modules by which a script cannot be called back after its execution.
const QUIET_GLOBALS = new Set([
  ...Object.keys(OWN_GLOBALS), 'clearTimeout', 'clearInterval', 'clearImmediate', 'queueMicrotask', 'structuredClone',
  'Buffer', 'URL', 'URLSearchParams', 'TextEncoder', 'TextDecoder', 'atob', 'btoa', 'Event', 'EventTarget',
  'AbortController', 'DOMException', 'Headers', 'FormData',
]);
const QUIET_MODULES = new Set(
  ['path', 'util', 'assert', 'url', 'querystring', 'buffer', 'string_decoder', 'events', 'os'],
);

// Loaded at the first use: it takes 0.3 ms, for scripts that use require() only.
const isBuiltin = (name) => require('node:module').isBuiltin(name);

class Execution {
  // `end` receives the header of the reply, and the result as JSON text. It is called once.
  constructor(script, realm, resultSizeMax, end) {
    this.script = script;
    this.realm = realm;
    this.resultSizeMax = resultSizeMax;
    this.end = end;
    this.globals = new Map();
    this.timers = new Set();
    this.hasEnded = false;
    this.usesLastingModules = false;
    this.isQuiet = true;
    realm.execution = this;
  }

  run(eventText) {
    if (this.script instanceof Error) return this.fail(this.script);
    const { context, call } = this.realm;
    try {
      const main = this.script.runInContext(context);
      const host = { succeed: (text) => this.succeed(text), fail: (error) => this.fail(error) };
      call(main, eventText, (name) => this.require(name), host);
    } catch (error) {
      this.fail(error);
    }
  }

  // Returns the global that Node has under this name.
  global(name) {
    this.isQuiet &&= QUIET_GLOBALS.has(name);
    if (!this.globals.has(name)) this.globals.set(name, valueOfGlobal(name, this));
    return this.globals.get(name);
  }

  keep(timer) {
    this.timers.add(timer);
    return timer;
  }

  require(name) {
    if (!isBuiltin(String(name))) {
      const error = new Error(`Cannot find module '${name}': a script has Node's built-in modules only`);
      throw Object.assign(error, { code: 'MODULE_NOT_FOUND' });
    }
    const plainName = String(name).replace(/^node:/, '');
    this.usesLastingModules ||= LASTING_MODULES.has(plainName);
    this.isQuiet &&= QUIET_MODULES.has(plainName);
    return require(name);
  }

  succeed(text) {
    const size = Buffer.byteLength(text);
    if (size > this.resultSizeMax) {
      return this.settle({ kind: 'failure', failure: { code: 'RESULT_TOO_LARGE', message: '', observed: size } });
    }
    if (text.includes('\\ud') && /(?:^|[^\\])(?:\\\\)*\\ud[89a-f]/.test(text)) {
      return this.fail({ notSerializable: 'The result has a string with a lone surrogate, which JSON cannot hold.' });
    }
    this.settle({ kind: 'result' }, text);
  }

  fail(error) {
    this.settle({ kind: 'failure', failure: failureOf(error) });
  }

  settle(header, body) {
    if (this.hasEnded) return;
    this.hasEnded = true;
    // The script's remaining microtasks run before the reply, and not in the next execution.
    setImmediate(this.end, header, body);
  }

  // Returns whether the next execution finds the same realm.
  leavesRealmUnchanged() {
    return this.isQuiet && this.realm.reset();
  }

  cancelTimers() {
    for (const timer of this.timers) (clearTimeout(timer), clearImmediate(timer));
  }
}

// What executions share in this process: recorded before the first of them, put back after each.
class ExecutionScope {
  constructor() {
    clearEnvironment();
    process.chdir(SCRATCH);
    this.freeDescriptor = lowestFreeDescriptor();
    this.listeners = listenersOf(process);
  }

  // Returns whether the execution has left no timer, no descriptor and no listener.
  restore() {
    clearEnvironment();
    process.exitCode = undefined;
    process.chdir(SCRATCH);
    for (const name of fs.readdirSync(SCRATCH)) fs.rmSync(`${SCRATCH}/${name}`, { recursive: true, force: true });
    return (
      process.getActiveResourcesInfo().length === 0 &&
      lowestFreeDescriptor() === this.freeDescriptor &&
      listenersOf(process) === this.listeners
    );
  }
}

function clearEnvironment() {
  for (const name of Object.keys(process.env)) delete process.env[name];
}

function lowestFreeDescriptor() {
  const descriptor = fs.openSync(SCRATCH);
  fs.closeSync(descriptor);
  return descriptor;
}

const listenersOf = (emitter) => emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name), 0);

module.exports = { Execution, ExecutionScope, SCRATCH };
