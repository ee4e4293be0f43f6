// Starts workers: for each order it forks a process, which isolates itself and becomes a worker.
//
// The zygote never runs a script. It speaks the protocol of guest/python/zygote.py.
'use strict';

const { constants } = require('node:os');
const { ControlSocket } = require('./control.cjs');
const { equip } = require('./equipment.cjs');
const { InheritedDescriptors, begin, drawAnew, reseed } = require('./inheritance.cjs');
const { NEW_NETWORK, NEW_PROCESSES, isolate, makeMountsPrivate } = require('./isolation.cjs');
const { find, preload } = require('./packages.cjs');
const { rehearse } = require('./rehearsal.cjs');
const { System, checked, ending } = require('./system.cjs');
const { Worker } = require('./worker.cjs');

const ADDON = `${__dirname}/addon.node`;
const KILL = 9;
const FREE_NETWORKS_MAX = 64;
// struct epoll_event is packed on x86-64 alone.
const EVENT_SIZE = process.arch === 'x64' ? 12 : 16, EVENT_DATA = EVENT_SIZE - 8;
const READABLE = 1, ADD = 1, REMOVE = 2, EVENTS_MAX = 64;
const CLOSED_ON_EXEC = 0x80000;
const OWN_NETWORK = '/proc/self/ns/net';
const USAGE_SIZE = 144, PEAK_AT = 32; // struct rusage

// Takes orders from the descriptor; a new worker serves the service.
function main(descriptor) {
  const addon = { exports: {} };
  // Node's own require() would keep it in a cache that is open to scripts.
  process.dlopen(addon, ADDON);
  const system = new System(addon.exports);
  const server = new ForkServer(system, new ControlSocket(system, descriptor));
  const setup = server.receive()[0];
  const worker = new Worker();
  setup.filter = Buffer.from(setup.filter, 'hex');
  const ready = { ready: true };
  ending(system, () => {
    if (setup.equipped) prepareEquipped(system, setup, ready);
    rehearse(system, worker, setup, () => ending(system, () => serve(system, server, worker, setup, ready)));
  });
}

// Adds to the message `ready` what the packages of an environment took.
function prepareEquipped(system, setup, ready) {
  if (setup.files) require('./files.cjs'); // forks have no files to load it from
  setup.network_filter = Buffer.from(setup.network_filter, 'hex');
  if (setup.preload === undefined) return equip(system);
  find();
  ready.preload = equip(system, () => preload(setup.preload));
}

function serve(system, server, worker, setup, ready) {
  makeMountsPrivate(system);
  const descriptors = new InheritedDescriptors(system, server.descriptors());
  server.report(ready, server.ownFd);
  const [order, streams] = server.serve();
  isolate(system, setup, order, descriptors, streams);
  begin(system);
  if (setup.preload !== undefined && require('./drawing.cjs').hasDrawn()) drawAnew();
  worker.reseed = reseed;
  system.addon.close();
  // No frame below a script is the zygote's.
  setImmediate(() => worker.begin(descriptors.channel, () => process.reallyExit(0)));
}

// Network namespaces for workers: each is in use by one living worker at most.
//
// They belong to the zygote's user namespace, so no worker has a right over the one that it is in. Nothing that a worker
// may make there outlives it: sockets end with their process.
class NetworkPool {
  constructor(system) {
    this.system = system;
    this.home = system.open(OWN_NETWORK, CLOSED_ON_EXEC);
    this.free = [];
  }

  // Returns the descriptor of a namespace that no process is in.
  take() {
    return this.free.pop() ?? this.make();
  }

  make() {
    this.system.call('unshare', NEW_NETWORK);
    try {
      return this.system.open(OWN_NETWORK, CLOSED_ON_EXEC);
    } finally {
      this.system.call('setns', this.home, NEW_NETWORK);
    }
  }

  // Takes back the namespace of a worker that has left the process table.
  put(network) {
    if (network !== null && this.free.length < FREE_NETWORKS_MAX) this.free.push(network);
    else this.drop(network);
  }

  // Gives up a namespace, in which a process may still be.
  drop(network) {
    if (network !== null) this.system.call('close', network);
  }
}

// Forks a worker for each order, and reports its start and its end.
class ForkServer {
  constructor(system, control) {
    this.system = system;
    this.control = control;
    this.ownFd = system.call('pidfd_open', system.call('getpid'), 0);
    this.networks = new NetworkPool(system);
    this.workers = new Map();
    this.epoll = system.call('epoll_create1', CLOSED_ON_EXEC);
    this.events = Buffer.alloc(EVENT_SIZE * EVENTS_MAX);
    this.status = Buffer.alloc(4);
    this.usage = Buffer.alloc(USAGE_SIZE);
    this.watch(ADD, control.descriptor);
  }

  descriptors() {
    return [this.control.descriptor, this.ownFd, this.networks.home, this.epoll];
  }

  // Returns the order and the streams of a new worker, in that worker only.
  serve() {
    for (;;) {
      for (const descriptor of this.readable()) {
        if (descriptor !== this.control.descriptor) {
          this.collect(descriptor);
          continue;
        }
        const taken = this.takeOrder();
        if (taken !== null) return taken;
      }
    }
  }

  watch(operation, descriptor) {
    const event = Buffer.alloc(EVENT_SIZE);
    event.writeUInt32LE(READABLE, 0);
    event.writeUInt32LE(descriptor, EVENT_DATA);
    this.system.call('epoll_ctl', this.epoll, operation, descriptor, event);
  }

  readable() {
    const count = this.system.attempt('epoll_pwait', this.epoll, this.events, EVENTS_MAX, -1, null, 0);
    if (count === -constants.errno.EINTR) return []; // It was stopped and continued.
    return Array.from({ length: checked('epoll_pwait', count) }, (_, at) => this.events.readUInt32LE(EVENT_SIZE * at + EVENT_DATA));
  }

  receive() {
    // The service has ended; all workers end with this process.
    return this.control.receive() ?? this.system.addon.exit(0);
  }

  // Sends a message to the service; if the service has ended, ends this process too.
  report(message, descriptor) {
    try {
      this.control.send(message, descriptor);
    } catch (error) {
      if (!/EPIPE|ECONNRESET/.test(error.message)) throw error;
      this.system.addon.exit(0);
    }
  }

  takeOrder() {
    const [order, streams] = this.receive();
    order.network = null;
    try {
      // A worker that may use a network gets a namespace that no other worker was in, or will be in.
      if (!order.own_network) order.network = this.networks.take();
      const pid = this.fork();
      if (pid === 0) return [order, streams];
      this.add(order, pid);
    } catch (error) {
      this.networks.drop(order.network);
      this.report({ id: order.id, failed: error.message });
    }
    for (const each of streams) this.system.call('close', each);
    return null;
  }

  // Forks a process that is the first of its own process namespace.
  fork() {
    this.system.call('unshare', NEW_PROCESSES);
    let pid = -1;
    try {
      pid = this.system.fork();
    } finally {
      if (pid !== 0) this.system.call('setns', this.ownFd, NEW_PROCESSES);
    }
    return pid;
  }

  // Reports the start of a worker. If that fails, ends the worker and throws.
  add({ id, network }, pid) {
    let workerFd = -1;
    try {
      workerFd = this.system.call('pidfd_open', pid, 0);
      this.report({ id }, workerFd);
    } catch (error) {
      this.system.call('kill', pid, KILL);
      this.system.call('wait4', pid, null, 0, null);
      if (workerFd >= 0) this.system.call('close', workerFd);
      throw error;
    }
    this.workers.set(workerFd, [id, pid, network]);
    this.watch(ADD, workerFd);
  }

  // Reports the end of a worker.
  collect(workerFd) {
    const [id, pid, network] = this.workers.get(workerFd);
    this.workers.delete(workerFd);
    this.watch(REMOVE, workerFd);
    this.system.call('close', workerFd);
    this.system.call('wait4', pid, this.status, 0, this.usage);
    this.networks.put(network);
    const status = this.status.readInt32LE(0), signal = status & 0x7f;
    const peak = Number(this.usage.readBigInt64LE(PEAK_AT)) * 1024;
    this.report({ id, status: signal === 0 ? (status >> 8) & 0xff : -signal, memory_bytes: peak });
  }
}

module.exports = { main };
