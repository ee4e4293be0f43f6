// The packages of an environment: scripts find them by require(), and a zygote has loaded some of them for all its
// workers.
'use strict';

const fs = require('node:fs');

const FOLDER = '/environment/';
const THREADS = '/proc/self/task', DESCRIPTORS = '/proc/self/fd';
const KIB = 1024;
const REMEDY = 'Leave it out of preload; scripts can require it all the same.';
const elsewhere = /^(?:\.{0,2}\/|file:|$)/;

let load = null;

// Lets scripts find the packages.
function find() {
  load = require('node:module').createRequire(FOLDER);
}

// Lets scripts find the packages if there are some.
function findIfThere() {
  if (fs.existsSync(FOLDER)) find();
}

const areThere = () => load !== null;

// Returns what a package exports. Paths lead to no package.
function requirePackage(name) {
  if (!elsewhere.test(name)) {
    try {
      return load(name);
    } catch (error) {
      if (error?.code !== 'MODULE_NOT_FOUND' || !error.message.startsWith(`Cannot find module '${name}'`)) throw error;
    }
  }
  const error = new Error(`Cannot find module '${name}': neither Node.js nor the environment of the session has it`);
  throw Object.assign(error, { code: 'MODULE_NOT_FOUND' });
}

// Loads these packages; returns what that took, and the memory of this process. A package must leave nothing behind that
// a fork does not get, or that all forks would share.
function preload(names) {
  const before = process.cpuUsage(), { withoutRandomState } = require('./drawing.cjs');
  for (const name of names) {
    const active = whatIsActive();
    try { withoutRandomState(() => requirePackage(name)); } catch (error) { throw failure(name, error); }
    const left = whatIsActive().find((each) => !active.includes(each));
    if (left !== undefined) throw failure(name, `it leaves ${left}. ${REMEDY}`);
  }
  const { user, system } = process.cpuUsage(before);
  return { cpu_ms: (user + system) / 1000, ...memory() };
}

// The stack of the error is what the service reports.
const failure = (name, cause) => Object.assign(new Error(), { stack: `the preload of ${name} failed: ${cause}` });

// Returns the threads, open descriptors, shared memory and resources of the event loop.
function whatIsActive() {
  const threads = fs.readdirSync(THREADS).map((each) => `the thread ${each} running`);
  const resources = process.getActiveResourcesInfo().map((each, at) => `${each} number ${at + 1} active`);
  return [...threads, ...resources, ...descriptors(), ...sharedMemory()];
}

function descriptors() {
  const found = [];
  for (const name of fs.readdirSync(DESCRIPTORS)) {
    try {
      found.push(`${fs.readlinkSync(`${DESCRIPTORS}/${name}`)} open as ${name}`);
    } catch {} // The descriptor of the listing itself.
  }
  return found;
}

// Returns what a fork would share with all others, beside files that it can only read.
function sharedMemory() {
  const found = fs.readFileSync('/proc/self/maps', 'utf8').matchAll(/^(\S+) .(?:w.s.*|-.s.*\(deleted\))$/gm);
  return Array.from(found, ([, place]) => `memory that all workers would share at ${place}`);
}

// Returns what no other process has, and what RLIMIT_DATA and RLIMIT_AS count, in bytes.
function memory() {
  const status = sizesIn('/proc/self/status'), shares = sizesIn('/proc/self/smaps_rollup');
  return {
    private_bytes: shares.get('Private_Dirty') + shares.get('Private_Clean'),
    data_bytes: status.get('VmData'),
    mapped_bytes: status.get('VmSize'),
  };
}

function sizesIn(path) {
  const lines = fs.readFileSync(path, 'utf8').matchAll(/^(\w+):\s+(\d+) kB$/gm);
  return new Map(Array.from(lines, ([, name, size]) => [name, Number(size) * KIB]));
}

module.exports = { areThere, find, findIfThere, preload, requirePackage };
