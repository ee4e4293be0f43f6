// Runs the program of a worker in the zygote once, so that forks find it compiled, and its memory in use.
//
// It runs scripts of its own only. Without it a worker takes 1.5 ms more of CPU time to its first result.
'use strict';

const fs = require('node:fs');
const { InheritedDescriptors, begin } = require('./inheritance.cjs');
const { isolate } = require('./isolation.cjs');
const { RehearsedSystem } = require('./system.cjs');
require('./repl.cjs'); // forks have no files to load it from

const TURNS = 30;
const UNIX = 1, STREAM = 1, CLOSED_ON_EXEC = 0x80000, WRITING = 1;
const SCRIPTS = [
  ['return event.params.a + 1;', 'own'],
  ['module.exports = async (event) => ({ a: [event.params.a] });', 'own'],
  ['return { a: "b" };', 'own'],
  ['return { a: event.params.a };', 'origin'],
];
const SCRIPTS_OF_EQUIPPED = [['import { sep } from "node:path";\nexport default async (event) => [event.params.a, sep];', 'own', 'module']];
const EVENT = '{"params":{"a":1},"context":{},"request_id":"00000000-0000-0000-0000-000000000000"}';
const LIMITS = ['nproc', 'data', 'fsize', 'nofile', 'core', 'cpu', 'stack', 'sigpending', 'memlock', 'msgqueue', 'nice'];

// Calls `then` on a later turn of the event loop.
function rehearse(system, worker, setup, then) {
  rehearseStart(system.addon, setup);
  const [ours, theirs] = system.pair('socketpair', UNIX, STREAM | CLOSED_ON_EXEC, 0);
  for (const [script, convention, syntax] of setup.equipped ? [...SCRIPTS, ...SCRIPTS_OF_EQUIPPED] : SCRIPTS) {
    fs.writeSync(ours, frame({ op: 'load', nonce: '', convention, syntax }, script));
    for (let turn = 0; turn < TURNS; turn += 1) {
      fs.writeSync(ours, frame({ op: 'run', nonce: '', result_size_max: EVENT.length }, EVENT));
    }
  }
  fs.writeSync(ours, frame({ op: 'examine', nonce: '', cpu_s: 1 }, '["return 1"]'));
  system.call('shutdown', ours, WRITING);
  worker.begin(theirs, () => {
    for (const each of [ours, theirs]) fs.closeSync(each);
    worker.forget();
    then();
  });
}

function rehearseStart(addon, setup) {
  const system = new RehearsedSystem(addon);
  const descriptors = Object.assign(Object.create(InheritedDescriptors.prototype), { shared: [4, 5], gaps: [[6, 7]] });
  const order = { limits: Object.fromEntries(LIMITS.map((name) => [name, 1])), processors: [0], network: 4 };
  const networked = { ...order, listeners: [443], addresses: ['10.0.0.1'], hosts: '127.0.0.1 localhost\n' };
  const random = () => 0;
  for (let turn = 0; turn < TURNS; turn += 1) {
    isolate(system, setup, order, descriptors, [8, 9, 10]);
    if (setup.equipped) isolate(system, setup, networked, descriptors, [8, 9, 10]);
    // The Math.random of the zygote is not used: its forks would draw the same numbers.
    begin(system, random);
  }
}

function frame(header, body) {
  const head = Buffer.from(JSON.stringify(header));
  const lengths = Buffer.alloc(8);
  lengths.writeUInt32LE(head.length, 0);
  lengths.writeUInt32LE(body.length, 4);
  return Buffer.concat([lengths, head, Buffer.from(body)]);
}

module.exports = { rehearse };
