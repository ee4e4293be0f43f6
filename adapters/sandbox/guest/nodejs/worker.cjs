// Runs Node scripts inside the sandbox: reads operations from a channel, and replies to each of them.
//
// Nothing in this folder is a boundary: node:vm is none, and a script can reach every object of this process. The
// sandbox around the process is the boundary. This code keeps executions of one session apart, and explains failures.
'use strict';

const fs = require('node:fs');
const vm = require('node:vm');

const parts = new Map();

// Loads the other files of this folder. The cache of Node's own require() is open to scripts, and would hand them the
// channel and the present execution. It also takes 0.2 ms for each file.
function part(name) {
  if (!name.startsWith('./')) return require(name);
  if (!parts.has(name)) {
    const filename = `${__dirname}/${name.slice(2)}`;
    const module = { exports: {} };
    const parameters = ['require', 'module', '__dirname'];
    vm.compileFunction(fs.readFileSync(filename, 'utf8'), parameters, { filename })(part, module, __dirname);
    parts.set(name, module.exports);
  }
  return parts.get(name);
}

const { Channel } = part('./frames.cjs');
const { parse, checkAll } = part('./scripts.cjs');
const { Realms } = part('./realms.cjs');
const { Execution, ExecutionScope } = part('./execution.cjs');

const channel = new Channel(Number(process.argv[2]));
process.argv.length = 1;
const realms = new Realms();
let script = null;
let execution = null;

function serve() {
  for (;;) {
    if (channel.isEmpty) realms.ready();
    const [operation, body] = channel.readFrame();
    if (operation.op === 'check') {
      const faults = checkAll(JSON.parse(body), operation.cpu_s);
      channel.writeFrame({ nonce: operation.nonce, kind: 'checked', faults });
    } else if (operation.op === 'load') {
      load(body);
    } else {
      return run(operation, body);
    }
  }
}

function load(source) {
  try {
    script = parse(source);
  } catch (error) {
    script = error;
  }
  realms.choose(source);
}

function run({ nonce, result_size_max: resultSizeMax }, eventText) {
  execution = new Execution(script, realms.ready(), resultSizeMax, (header, body) => {
    channel.writeFrame({ nonce, ...header, reusable: tidy() }, body);
    serve();
  });
  execution.run(eventText);
}

// Puts everything back; returns whether that is possible.
function tidy() {
  try {
    execution.cancelTimers();
    if (!execution.leavesRealmUnchanged()) realms.discard();
    return scope.restore() && !execution.usesLastingModules;
  } catch {
    return false;
  }
}

process.on('uncaughtException', (error) => execution?.fail(error));
process.on('unhandledRejection', (reason) => execution?.fail(reason));
process.on('beforeExit', () =>
  execution?.fail(new Error(
    'The script ended without a result: its callback was not called, its promise is not settled, and nothing is left ' +
    'to wait for. Call the callback, or settle the promise',
  )),
);
const scope = new ExecutionScope();
channel.writeFrame({ kind: 'ready', nonce: '' });
serve();
