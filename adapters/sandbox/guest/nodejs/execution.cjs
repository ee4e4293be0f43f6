// One execution of a script: what the script finds, how it ends, and what is removed after it.
'use strict';

const fs = require('node:fs');
const { failureOf } = require('./failures.cjs');
const { areThere, requirePackage } = require('./packages.cjs');
const { givenModule } = require('./given.cjs');
const { ProgressReporter } = require('./progress.cjs');
const { OWN_GLOBALS, valueOfGlobal } = require('./realms.cjs');
const { KeptState, hasLoneSurrogate } = require('./states.cjs');

const SCRATCH = '/tmp';
const UMASK = 0o022;
const STACK_TRACE_LIMIT = Error.stackTraceLimit;
// How far apart two small buffers lie, at most.
const POOL_STEP = 8;
// Modules that can leave something behind which ExecutionScope does not see.
const LASTING_MODULES = new Set(
  ['timers', 'timers/promises', 'worker_threads', 'async_hooks', 'vm', 'v8', 'inspector', 'module', 'cluster', 'repl',
   'diagnostics_channel', 'domain', 'trace_events', 'inspector/promises', 'test'],
);
const LASTING_GLOBALS = new Set(['BroadcastChannel', 'Worker']);
// Text by which a script has code run later that nothing lists.
const lastingText = /\bFinalizationRegistry\b|\bimport\s{0,9}\(\s{0,9}(?!(['"`])(?:node:)?[a-z_/]{1,40}\1\s{0,9}\))/;
const importedModule = /\bimport\s{0,9}\(\s{0,9}['"`](?:node:)?([a-z_/]{1,40})['"`]/g;
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
const isBuiltin = (name) => require('node:module').isBuiltin(String(name));

const OWN_MODULE = 'pglambda';

const notFound = (name, why) => Object.assign(new Error(`Cannot find module '${name}': ${why}`), { code: 'MODULE_NOT_FOUND' });

class Execution {
  // `end` receives the header of the reply, and the result as JSON text. It is called once. `notify` receives the
  // progress of the script. `state` is null, or says how large the state may be, whether it is shared, and whether a
  // failure keeps it. `secrets` is null, or has the values of secrets by name.
  constructor(script, realm, resultSizeMax, end, notify, state = null, secrets = null) {
    this.script = script;
    this.realm = realm;
    this.resultSizeMax = resultSizeMax;
    this.state = state === null ? null : new KeptState(state);
    this.given = secrets === null ? null : givenModule(secrets);
    this.end = end;
    this.progress = new ProgressReporter(notify);
    this.globals = new Map();
    this.timers = new Set();
    this.hasEnded = false;
    this.dropped = []; // names that do not stay
    this.isLasting = false;
    this.measures = false;
    // What a script in a new realm imports is not seen.
    this.isQuiet = realm.isShared;
    realm.execution = this;
  }

  run(eventText) {
    if (this.script instanceof Error) return this.fail(this.script);
    const { context, call } = this.realm;
    try {
      const main = this.script.mainIn?.(this.realm, (name) => this.require(name), (dropped) => { this.dropped = dropped; })
        ?? this.script.runInContext(context);
      const host = {
        succeed: (text) => this.succeed(text),
        fail: (error) => this.fail(error),
        report: (value, message) => this.progress.report(value, message),
        state: this.state,
      };
      call(main, eventText, (name) => this.require(name), host);
    } catch (error) {
      this.fail(error);
    }
  }

  // Returns the global that Node has under this name.
  global(name) {
    this.isQuiet &&= QUIET_GLOBALS.has(name);
    this.isLasting ||= LASTING_GLOBALS.has(name);
    this.measures ||= name === 'performance';
    if (!this.globals.has(name)) this.globals.set(name, valueOfGlobal(name, this));
    return this.globals.get(name);
  }

  keep(timer) {
    this.timers.add(timer);
    return timer;
  }

  require(name) {
    if (name === OWN_MODULE) {
      if (this.given === null) throw notFound(name, 'it is there if the session has secrets');
      return this.given;
    }
    if (!isBuiltin(name)) {
      // A package keeps what a script gives it, such as a callback.
      if (areThere()) return (this.isQuiet = false, requirePackage(String(name)));
      throw notFound(name, "a script has Node's built-in modules; packages need an environment");
    }
    const plainName = String(name).replace(/^node:/, '');
    this.isLasting ||= LASTING_MODULES.has(plainName);
    this.measures ||= plainName === 'perf_hooks';
    this.isQuiet &&= QUIET_MODULES.has(plainName);
    return require(name);
  }

  succeed(text) {
    const size = Buffer.byteLength(text);
    if (size > this.resultSizeMax) {
      return this.settle({ kind: 'failure', failure: { code: 'RESULT_TOO_LARGE', message: '', observed: size } });
    }
    if (hasLoneSurrogate(text)) {
      return this.fail({ notSerializable: 'The result has a string with a lone surrogate, which JSON cannot hold.' });
    }
    if (this.state?.failure) return this.settle({ kind: 'failure', failure: this.state.failure });
    this.settle({ kind: 'result' }, text);
  }

  fail(error) {
    this.settle({ kind: 'failure', failure: failureOf(error) });
  }

  settle(header, body) {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.progress.close();
    const state = this.state === null ? '' : this.state.textAfter(header.kind === 'failure');
    if (state !== '') {
      header.state_size = Buffer.byteLength(state);
      body = (body ?? '') + state;
    }
    if (this.dropped.length > 0) header.dropped = this.dropped;
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

  clearMeasures() {
    if (this.measures) (performance.clearMarks(), performance.clearMeasures());
  }
}

// Returns whether the text of a script shows that it leaves something behind which ExecutionScope does not see.
function looksLasting(source) {
  if (lastingText.test(source)) return true;
  return [...source.matchAll(importedModule)].some(([, name]) => LASTING_MODULES.has(name) || !isBuiltin(name));
}

// What executions share in this process: recorded before the first of them, put back after each.
class ExecutionScope {
  constructor() {
    this.environment = process.env;
    this.variables = {};
    this.arguments = process.argv;
    this.argumentTexts = [...process.argv];
    this.prepareStackTrace = Error.prepareStackTrace;
    this.pool = new BufferPool();
    this.restoreProcess();
    this.freeDescriptor = lowestFreeDescriptor();
    this.listeners = listenersOf(process);
  }

  // Gives scripts these environment variables from now on.
  provide(variables) {
    Object.assign(process.env, variables);
    this.variables = variables;
  }

  // Returns whether the execution has left nothing behind. A quiet one has had no means to change the process.
  restore(isQuiet) {
    this.restoreLanguage();
    for (const name of fs.readdirSync(SCRATCH)) fs.rmSync(`${SCRATCH}/${name}`, { recursive: true, force: true });
    if (!this.pool.renew() || process.getActiveResourcesInfo().length > 0) return false;
    if (isQuiet) return true;
    this.restoreProcess();
    return lowestFreeDescriptor() === this.freeDescriptor && areSame(listenersOf(process), this.listeners);
  }

  restoreProcess() {
    // No code of a script runs here: it may have put another object in place of each.
    if (process.env !== this.environment) process.env = this.environment;
    for (const name of Object.keys(process.env)) delete process.env[name];
    Object.assign(process.env, this.variables);
    if (process.argv !== this.arguments) process.argv = this.arguments;
    if (!areSame(process.argv, this.argumentTexts)) process.argv.splice(0, process.argv.length, ...this.argumentTexts);
    process.exitCode = undefined;
    process.umask(UMASK);
    process.chdir(SCRATCH);
    if (process.hasUncaughtExceptionCaptureCallback()) process.setUncaughtExceptionCaptureCallback(null);
  }

  // Puts back what Node's own realm remembers.
  restoreLanguage() {
    if (Error.stackTraceLimit !== STACK_TRACE_LIMIT) Error.stackTraceLimit = STACK_TRACE_LIMIT;
    if (Error.prepareStackTrace !== this.prepareStackTrace) Error.prepareStackTrace = this.prepareStackTrace;
    RegExp.input = '';
    /(?:)/.exec('');
  }
}

// The memory from which Node takes small buffers. Scripts can read all of it.
class BufferPool {
  constructor() {
    this.size = Buffer.poolSize;
    this.mark();
  }

  mark() {
    const next = Buffer.allocUnsafe(1);
    this.memory = next.buffer;
    this.place = next.byteOffset;
    return next;
  }

  // Takes new memory if the execution has used some; returns whether the next one finds nothing in it.
  renew() {
    Buffer.poolSize = this.size;
    const { memory, place } = this;
    const next = this.mark();
    if (next.buffer === memory && next.byteOffset - place <= POOL_STEP) return true;
    for (let left = 3; left > 0 && this.memory === next.buffer; left -= 1) {
      Buffer.allocUnsafe((this.size >>> 1) - 1);
      this.mark();
    }
    // It may have been freed by an earlier execution.
    new Uint8Array(this.memory).fill(0);
    return this.memory !== next.buffer;
  }
}

// Notes the use of functions that leave behind what ExecutionScope does not see. `note` is called at each use.
function noteLastingFunctions(note) {
  const noted = (holder, name) => {
    const original = holder[name];
    holder[name] = function (...given) {
      note();
      return original.apply(this, given);
    };
  };
  noted(AbortSignal, 'timeout');
  noted(PerformanceObserver.prototype, 'observe');
  for (const name of ['binding', '_linkedBinding', 'dlopen']) noted(process, name);
}

// Returns what process.memoryUsage() does. Node would read the memory that the process holds now from /proc, which is
// not there, so `rss` is the most that it has held. The heap's statistics count array buffers as external memory.
function memoryUsage() {
  const { total_heap_size: heapTotal, used_heap_size: heapUsed, external_memory: external } =
    require('node:v8').getHeapStatistics();
  return { rss: memoryUsage.rss(), heapTotal, heapUsed, external };
}
memoryUsage.rss = () => process.resourceUsage().maxRSS * 1024;

function lowestFreeDescriptor() {
  const descriptor = fs.openSync(SCRATCH);
  fs.closeSync(descriptor);
  return descriptor;
}

const listenersOf = (emitter) => emitter.eventNames().flatMap((name) => [name, ...emitter.rawListeners(name)]);
const areSame = (some, others) => some.length === others.length && some.every((each, at) => each === others[at]);

module.exports = { Execution, ExecutionScope, SCRATCH, isBuiltin, looksLasting, memoryUsage, noteLastingFunctions };
