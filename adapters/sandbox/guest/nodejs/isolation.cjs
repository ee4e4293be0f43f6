// How a worker isolates itself: a fork of the zygote enters a sandbox of its own, which it cannot leave.
//
// It takes the steps of guest/python/isolation.py in the same order.
'use strict';

const { constants } = require('node:os');
const { sendDescriptors } = require('./control.cjs');
const { SCRATCH } = require('./execution.cjs');
const { CURRENT_FOLDER, cString } = require('./system.cjs');

const WORKER_ROOT = '/worker';
const FILES = '/files';
const UID = 65534;
// sched.h
const NEW_MOUNTS = 0x20000, NEW_CGROUP = 0x2000000, NEW_UTS = 0x4000000, NEW_IPC = 0x8000000;
const NEW_USER = 0x10000000, NEW_PROCESSES = 0x20000000, NEW_NETWORK = 0x40000000;
const BATCH = 3;
// mount.h
const NO_SETUID = 2, NO_DEVICES = 4, NO_PROGRAMS = 8, RECURSIVE = 0x4000, PRIVATE = 0x40000, DETACH = 2;
const READ_ONLY = 1, REMOUNT = 32;
// socket.h, if.h, sockios.h
const INTERNET = 2, STREAM = 1, CLOSED_ON_EXEC = 0x80000, UP = 1;
const SET_FLAGS = 0x8914, SET_ADDRESS = 0x8916, SET_NETMASK = 0x891c;
const BACKLOG = 16;
const BUFFER_SIZES = '4096 16384 65536';
// Whether the kernel's memory for connections is limited.
const LIMITED = 1, UNLIMITED = 0;
// prctl.h, capability.h
const SET_FILTER = 22, DROP_FROM_BOUNDING_SET = 24, NO_NEW_PRIVILEGES = 38, MODE_FILTER = 2;
const CAPABILITIES_VERSION = 0x20080522, CAPABILITIES_MAX = 64;
// resource.h
const RESOURCES = {
  cpu: 0, fsize: 1, data: 2, stack: 3, core: 4, nproc: 6, nofile: 7, memlock: 8, as: 9, sigpending: 11, msgqueue: 12,
  nice: 13, rtprio: 14,
};
const NO_LIMIT = 0xffffffffffffffffn;

const PROCESSORS_SIZE = 128;
const HOST_NAME = 'sandbox';
const NAMES = `${WORKER_ROOT}/etc`;
const PROCESS = '/proc/self';
const text = Object.fromEntries(
  ['/', '/proc', 'tmpfs', HOST_NAME, SCRATCH, WORKER_ROOT, WORKER_ROOT + SCRATCH].map((each) => [each, cString(each)]),
);

// No mount of the host reaches the sandbox later, and none of a worker leaves it.
function makeMountsPrivate(system) {
  system.call('mount', null, text['/'], null, RECURSIVE | PRIVATE, null);
}

// `descriptors` is what `InheritedDescriptors` found; `streams` are the channel, stdout and stderr of the order.
function isolate(system, setup, order, descriptors, streams) {
  schedule(system, order.processors);
  enterNetwork(system, order.network);
  if (order.listeners !== undefined) giveListeners(system, order.listeners, order.addresses ?? [], streams[0]);
  descriptors.replace(system, ...streams);
  enterNamespaces(system, setup.scratch, order.hosts, order.files);
  descriptors.closeOthers(system);
  enterRoot(system);
  limit(system, order.limits);
  giveUpRights(system);
  filterCalls(system, order.listeners === undefined ? setup.filter : setup.network_filter);
}

function schedule(system, processors) {
  const mask = Buffer.alloc(PROCESSORS_SIZE);
  for (const each of processors) mask[each >> 3] |= 1 << (each & 7);
  // A processor may have been taken offline, and a service in SCHED_IDLE leaves it only within its user's limits.
  system.attempt('sched_setaffinity', 0, mask.length, mask);
  system.attempt('sched_setscheduler', 0, BATCH, Buffer.alloc(4));
}

// Enters the network namespace of this descriptor; a new one if it is null.
function enterNetwork(system, network) {
  if (network === null) system.call('unshare', NEW_NETWORK);
  else system.call('setns', network, NEW_NETWORK);
}

// Listens on the loopback of the new network, and gives the listeners to the service as the channel's first message.
// The loopback has these addresses too. Nobody else is in this network, and no script has run yet.
function giveListeners(system, ports, addresses, channel) {
  const hasLimits = limitBuffers(system);
  const listeners = ports.map((port) => listenerOn(system, port));
  if (listeners.length > 0) {
    const request = Buffer.alloc(32); // struct ifreq
    request.write('lo');
    request.writeUInt16LE(UP, 16);
    system.call('ioctl', listeners[0], SET_FLAGS, request);
    addresses.forEach((address, number) => addAddress(system, listeners[0], `lo:${number}`, address));
  }
  sendDescriptors(system, channel, hasLimits ? LIMITED : UNLIMITED, listeners);
  for (const each of listeners) system.call('close', each);
}

function addAddress(system, listener, label, address) {
  for (const [order, value] of [[SET_ADDRESS, address], [SET_NETMASK, '255.255.255.255']]) {
    const request = Buffer.alloc(32); // struct ifreq with struct sockaddr_in
    request.write(label);
    request.writeUInt16LE(INTERNET, 16);
    request.set(value.split('.').map(Number), 20);
    system.call('ioctl', listener, order, request);
  }
}

function listenerOn(system, port) {
  const listener = system.call('socket', INTERNET, STREAM | CLOSED_ON_EXEC, 0);
  const address = Buffer.alloc(16); // struct sockaddr_in, of every address
  address.writeUInt16LE(INTERNET, 0);
  address.writeUInt16BE(port, 2);
  system.call('bind', listener, address, address.length);
  system.call('listen', listener, BACKLOG);
  return listener;
}

// Limits the kernel's memory for each connection of this network; returns whether that is possible.
function limitBuffers(system) {
  try {
    for (const name of ['tcp_wmem', 'tcp_rmem']) system.write(CURRENT_FOLDER, `/proc/sys/net/ipv4/${name}`, BUFFER_SIZES);
    return true;
  } catch (error) {
    const { EROFS, EACCES, ENOENT } = constants.errno;
    if (![EROFS, EACCES, ENOENT].includes(error.errno)) throw error;
    return false;
  }
}

// The zygote's user namespace owns the new namespaces: a worker never has a right over any of them.
function enterNamespaces(system, scratchOptions, hosts, fileOptions) {
  system.call('setsid');
  const uid = process.getuid(), gid = process.getgid();
  system.call('unshare', NEW_MOUNTS | NEW_IPC | NEW_UTS | NEW_CGROUP);
  system.call('sethostname', text[HOST_NAME], HOST_NAME.length);
  const flags = NO_SETUID | NO_DEVICES | NO_PROGRAMS;
  system.call('mount', text.tmpfs, text[WORKER_ROOT + SCRATCH], text.tmpfs, flags, cString(scratchOptions));
  if (fileOptions !== undefined) {
    system.call('mount', text.tmpfs, cString(WORKER_ROOT + FILES), text.tmpfs, flags, cString(fileOptions));
  }
  if (hosts !== undefined) nameHosts(system, hosts, flags);
  const ownFolder = system.open(PROCESS);
  system.call('umount2', text['/proc'], DETACH);
  system.call('unshare', NEW_USER);
  system.write(ownFolder, 'setgroups', 'deny');
  system.write(ownFolder, 'uid_map', `${UID} ${uid} 1`);
  system.write(ownFolder, 'gid_map', `${UID} ${gid} 1`);
  lowerPriorityOfMemory(system, ownFolder);
}

// Makes a folder /etc by which libraries find these hosts, and no others.
function nameHosts(system, hosts, flags) {
  const folder = cString(NAMES);
  system.call('mount', text.tmpfs, folder, text.tmpfs, flags, cString('size=64k,nr_inodes=8,mode=0755'));
  system.create(`${NAMES}/hosts`, hosts);
  system.create(`${NAMES}/nsswitch.conf`, 'hosts: files\n');
  system.call('mount', null, folder, null, flags | REMOUNT | READ_ONLY, null);
}

function lowerPriorityOfMemory(system, ownFolder) {
  try {
    system.write(ownFolder, 'oom_score_adj', '500');
  } catch (error) {
    // The service may have a higher score, which cannot be lowered here.
    if (error.errno !== constants.errno.EACCES) throw error;
  }
}

// Makes the folder of the worker's files the root. guest/python/isolation.py says why no way leads out of it.
function enterRoot(system) {
  system.call('chroot', text[WORKER_ROOT]);
  system.call('chdir', text[SCRATCH]);
}

function limit(system, limits) {
  for (const [name, value] of Object.entries(limits)) {
    if (RESOURCES[name] === undefined) throw new Error(`there is no RLIMIT_${name.toUpperCase()}`);
    const pair = Buffer.alloc(16);
    system.call('prlimit64', 0, RESOURCES[name], null, pair);
    const hard = pair.readBigUInt64LE(8);
    // The service may have been started with a lower limit, which a worker cannot raise.
    const lowest = hard === NO_LIMIT || BigInt(value) < hard ? BigInt(value) : hard;
    pair.writeBigUInt64LE(lowest, 0);
    pair.writeBigUInt64LE(lowest, 8);
    system.call('prlimit64', 0, RESOURCES[name], pair, null);
  }
}

function giveUpRights(system) {
  for (let capability = 0; capability < CAPABILITIES_MAX; capability += 1) {
    if (system.attempt('prctl', DROP_FROM_BOUNDING_SET, capability, 0, 0, 0) < 0) break; // The kernel has no more.
  }
  system.call('prctl', NO_NEW_PRIVILEGES, 1, 0, 0, 0);
  const header = Buffer.alloc(8);
  header.writeUInt32LE(CAPABILITIES_VERSION, 0);
  system.call('capset', header, Buffer.alloc(24));
}

function filterCalls(system, instructions) {
  const program = Buffer.alloc(16); // struct sock_fprog
  program.writeUInt16LE(instructions.length / 8, 0);
  program.writeBigUInt64LE(BigInt(system.addon.address(instructions)), 8);
  system.call('prctl', SET_FILTER, MODE_FILTER, system.addon.address(program), 0, 0);
}

module.exports = { NEW_NETWORK, NEW_PROCESSES, isolate, makeMountsPrivate };
