// Runs Node scripts inside the sandbox: reads operations from a channel, and replies to each of them.
//
// Nothing in this folder is a boundary: node:vm is none, and a script can reach every object of this process. The
// sandbox around the process is the boundary. This code keeps executions of one session apart, and explains failures.
'use strict';

const { Channel, END } = require('./frames.cjs');
const { findIfThere } = require('./packages.cjs');
const { check, isSpent, judgeAll, parse } = require('./scripts.cjs');
const { Realms } = require('./realms.cjs');
const {
  Execution, ExecutionScope, isBuiltin, looksLasting, memoryUsage, noteLastingFunctions,
} = require('./execution.cjs');

const FILE_OPERATIONS = new Set(['file', 'list', 'read', 'settle']);

class Worker {
  // `reseed` is called with the Math.random of the realm before each execution.
  constructor(reseed = () => {}) {
    this.reseed = reseed;
    this.realms = new Realms();
    this.script = null;
    this.source = '';
    this.repl = null;
    this.isLasting = false;
    this.execution = null;
    process.getBuiltinModule = (name) => (isBuiltin(name) ? this.execution?.require(name) : undefined);
    process.memoryUsage = memoryUsage;
    noteLastingFunctions(() => { if (this.execution !== null) this.execution.isLasting = true; });
    process.on('uncaughtException', (error) => this.execution?.fail(error));
    process.on('unhandledRejection', (reason) => this.execution?.fail(reason));
    process.on('beforeExit', () =>
      this.execution?.fail(new Error(
        'The script ended without a result: its callback was not called, its promise is not settled, and nothing is ' +
        'left to wait for. Call the callback, or settle the promise',
      )),
    );
  }

  // Serves the service at the other end of the channel, until `onEnd` is called at its end.
  begin(channel, onEnd) {
    this.channel = new Channel(channel);
    this.onEnd = onEnd;
    this.scope = new ExecutionScope();
    this.channel.writeFrame({ kind: 'ready', nonce: '' });
    this.serve();
  }

  // Forgets the script, so that the next service finds a worker as it was before `begin`.
  forget() {
    this.script = null;
    this.execution = null;
    this.realms.ready();
  }

  serve() {
    try {
      while (this.perform(...this.nextFrame()));
    } catch (error) {
      if (error !== END) throw error;
      this.onEnd();
    }
  }

  nextFrame() {
    if (this.channel.isEmpty) this.realms.ready();
    return this.channel.readFrame();
  }

  // Returns whether the operation is over; `run` continues to serve when it is.
  perform(operation, body) {
    if (operation.op === 'check') {
      const faults = judgeAll(check, JSON.parse(body), operation.cpu_s);
      this.channel.writeFrame({ nonce: operation.nonce, kind: 'checked', faults, ...(isSpent() && { spent: true }) });
    } else if (operation.op === 'examine') {
      const { examine } = require('./examination.cjs');
      const findings = judgeAll(examine, JSON.parse(body), operation.cpu_s);
      this.channel.writeFrame({ nonce: operation.nonce, kind: 'examined', findings });
    } else if (operation.op === 'load') {
      const { environment = {}, variables = {} } = operation;
      useProxy(variables);
      this.load(body, operation.convention ?? 'own', { ...environment, ...variables }, operation.syntax);
    } else if (FILE_OPERATIONS.has(operation.op)) {
      const [header, content] = require('./files.cjs').performOnFiles(operation, body, () => this.tidy());
      this.channel.writeFrame({ nonce: operation.nonce, ...header }, content);
    } else {
      this.run(operation, body);
      return false;
    }
    return true;
  }

  load(source, convention, environment, syntax) {
    try {
      this.script = parse(source, convention, syntax);
    } catch (error) {
      this.script = error;
    }
    this.source = source;
    this.repl = null;
    this.isLasting = looksLasting(source);
    this.realms.choose(source, convention);
    this.scope.provide(environment);
  }

  run({ nonce, result_size_max: resultSizeMax, state = null, secrets = null, files = false }, eventText) {
    const script = state?.repl ? this.asRepl() : this.script;
    const realm = this.realms.ready();
    this.reseed(realm.random);
    if (files) require('./files.cjs').filesFolder();
    const end = (header, body) => {
      // With files, the worker is put back when they have been read.
      this.channel.writeFrame({ nonce, ...header, reusable: files || this.tidy() }, body);
      this.serve();
    };
    const notify = (progress) => this.channel.writeNotice({ nonce, ...progress });
    this.execution = new Execution(script, realm, resultSizeMax, end, notify, state, secrets);
    this.execution.run(eventText);
  }

  // Returns the script as one whose top-level names are the state. Its variables stay in its realm.
  asRepl() {
    this.realms.areNew = true;
    if (this.script instanceof Error) return this.script;
    return (this.repl ??= new (require('./repl.cjs').ReplScript)(this.source));
  }

  // Puts everything back; returns whether that is possible.
  tidy() {
    try {
      this.execution.cancelTimers();
      this.execution.clearMeasures();
      if (!this.execution.leavesRealmUnchanged()) this.realms.discard();
      return this.scope.restore(this.execution.isQuiet) && !this.execution.isLasting && !this.isLasting && !this.script.isWornOut;
    } catch {
      return false;
    }
  }
}

// Before 24.14 Node.js reads these variables at its start only, where they are too.
function useProxy(variables) {
  if (variables.HTTPS_PROXY !== undefined) require('node:http').setGlobalProxyFromEnv?.(variables);
}

// Of a worker that executes Node.js. A zygote has found the packages of its forks.
function main(channel) {
  findIfThere();
  new Worker().begin(channel, () => process.reallyExit(0));
}

module.exports = { Worker, main };
