// What a fork has in common with its zygote, and must not share: descriptors, the event loop, randomness, clocks, ids.
'use strict';

const fs = require('node:fs');
const v8 = require('node:v8');
const { randomFillSync, randomInt, randomUUID } = require('node:crypto');
const { inspect } = require('node:util');

const DESCRIPTORS = '/proc/self/fd';
const STREAMS = 3;
const CLOSED_ON_EXEC = 0x80000, WITHOUT_WAIT = 0x800;
const LAST = 0xffffffff;
const HANDLER_FAILED = 7;

// The descriptors of Node.js itself. libuv and V8 wake their threads by eventfds and pipes, which the zygote and all its
// forks would have in common: a way to signal each other. A fork replaces them, except those that libuv makes anew in
// each fork.
class InheritedDescriptors {
  // `own` are the zygote's descriptors, which no fork keeps.
  constructor(system, own) {
    const engine = [...links().keys()].filter((each) => each >= STREAMS && !own.includes(each));
    const highest = Math.max(...engine, ...own);
    // Every free number is taken. So what libuv makes anew in a fork gets the numbers of what it has closed.
    while (system.call('dup', 0) < highest);
    this.channel = system.call('dup', 0);
    this.shared = sharedWithForks(system, engine);
    this.gaps = gapsBetween([STREAMS - 1, ...engine, this.channel]);
  }

  // In a fork: takes the streams and the channel, and replaces what it has in common with its zygote.
  replace(system, channel, stdout, stderr) {
    // The zygote's own is one open file for all workers. Its flags and owner would let workers signal each other.
    const nothing = system.open(`${DESCRIPTORS}/0`);
    for (const [from, to] of [[nothing, 0], [stderr, 2], [stdout, 1], [channel, this.channel]]) {
      system.call('dup3', from, to, 0);
    }
    const own = system.call('eventfd2', 0, CLOSED_ON_EXEC | WITHOUT_WAIT);
    for (const each of this.shared) system.call('dup3', own, each, CLOSED_ON_EXEC);
  }

  // In a fork: closes every descriptor but the streams, the channel and those of Node.js.
  closeOthers(system) {
    for (const [first, last] of this.gaps) system.call('close_range', first, last, 0);
  }
}

// Returns the ranges of numbers between and above these.
function gapsBetween(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted.map((each, at) => [each + 1, (sorted[at + 1] ?? LAST + 1) - 1]).filter(([first, last]) => first <= last);
}

// Returns those of the descriptors that a fork has in common with this process, as a trial shows.
function sharedWithForks(system, descriptors) {
  const before = links();
  const [reader, writer] = system.pair('pipe2');
  const pid = system.fork();
  if (pid === 0) {
    const now = links();
    fs.writeSync(writer, JSON.stringify(descriptors.filter((each) => now.get(each) === before.get(each))));
    system.addon.exit(0);
  }
  fs.closeSync(writer);
  const shared = JSON.parse(fs.readFileSync(reader, 'utf8'));
  fs.closeSync(reader);
  system.call('wait4', pid, null, 0, null);
  return shared;
}

// Returns what each descriptor of this process refers to.
function links() {
  const found = new Map();
  for (const name of fs.readdirSync(DESCRIPTORS)) {
    try {
      found.set(Number(name), fs.readlinkSync(`${DESCRIPTORS}/${name}`));
    } catch {} // The descriptor of the listing itself.
  }
  return found;
}

const SKIPPED_MAX = 0x3ff;
const entropy = Buffer.alloc(6);
const seeded = new WeakSet();

// Contexts that have not used Math.random yet take its state from this flag. Without it, all forks have the same state.
// The flag has 32 bits, so two of 100,000 forks would have equal states: each realm also skips some numbers.
function reseed(random) {
  randomFillSync(entropy);
  v8.setFlagsFromString(`--random-seed=${entropy.readInt32LE(0) || 1}`);
  if (seeded.has(random)) return;
  seeded.add(random);
  for (let left = entropy.readUInt16LE(4) & SKIPPED_MAX; left > 0; left -= 1) random();
}

// Node.js draws so many random UUIDs and integers ahead.
const UUIDS_AHEAD = 128, INTEGERS_AHEAD = 1024;

// In a fork: uses up what packages that were loaded before have made Node.js draw ahead.
function drawAnew() {
  for (let left = UUIDS_AHEAD; left > 0; left -= 1) randomUUID();
  for (let left = INTEGERS_AHEAD; left > 0; left -= 1) randomInt(2);
}

const { uptime, _fatalException: handle } = process;
const { now, mark, measure } = Performance.prototype;
const ownOriginMs = performance.timeOrigin;

// Makes a fork a process that has just started. `random` is the Math.random of Node.js itself.
function begin(system, random = Math.random) {
  if (system.addon.restartLoop() < 0) throw new Error('the event loop cannot be used after the fork');
  reseed(random);
  restartClocks();
  define(process, 'pid', system.call('getpid'));
  const { exit } = system.addon;
  // Node's own waits for threads that a fork does not have.
  process.reallyExit = (code) => exit(code ?? process.exitCode ?? 0);
  process._fatalException = (...given) => handledOrExit(exit, () => handle.apply(process, given), given[0]);
}

// Node itself would exit here, and wait for the same threads.
function handledOrExit(exit, handle, error) {
  try {
    if (handle()) return true;
  } catch {
    exit(HANDLER_FAILED);
  }
  fs.writeSync(2, `Uncaught ${inspect(error)}\n`);
  return exit(process.exitCode || 1);
}

// Time stamps that Node itself makes, such as those of events, still count from the start of the zygote.
function restartClocks() {
  const startedMs = now.call(performance), startedS = uptime();
  const originMs = ownOriginMs + startedMs;
  const clocks = {
    now() {
      return now.call(this) - startedMs;
    },
    mark(name, options) {
      return mark.call(this, name, { startTime: this.now(), ...options });
    },
    measure(name, start, end) {
      const options = start === Object(start) ? start : { start, end };
      const endsNow = options.end === undefined && options.duration === undefined;
      return measure.call(this, name, endsNow ? { ...options, end: this.now() } : options);
    },
  };
  for (const [name, method] of Object.entries(clocks)) define(Performance.prototype, name, method);
  Object.defineProperty(Performance.prototype, 'timeOrigin', { get: () => originMs });
  define(process, 'uptime', () => uptime() - startedS);
}

const define = (target, name, value) =>
  Object.defineProperty(target, name, { value, writable: true, enumerable: true, configurable: true });

module.exports = { InheritedDescriptors, begin, drawAnew, reseed };
