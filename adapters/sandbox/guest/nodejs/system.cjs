// System calls of Linux by their names, on x86-64 and on arm64.
'use strict';

const fs = require('node:fs');
const { getSystemErrorName } = require('node:util');

const NUMBERS = {
  x64: {
    write: 1, close: 3, ioctl: 16, dup: 32, getpid: 39, socket: 41, sendmsg: 46, recvmsg: 47,
    shutdown: 48, bind: 49, listen: 50, socketpair: 53, wait4: 61, kill: 62,
    chdir: 80, setsid: 112, capset: 126, sched_setscheduler: 144, prctl: 157, chroot: 161, mount: 165, umount2: 166,
    sethostname: 170, sched_setaffinity: 203, epoll_ctl: 233, openat: 257, unshare: 272, epoll_pwait: 281,
    eventfd2: 290, epoll_create1: 291, dup3: 292, pipe2: 293, prlimit64: 302, setns: 308, getrandom: 318,
    pidfd_open: 434, close_range: 436,
  },
  arm64: {
    dup: 23, dup3: 24, epoll_create1: 20, epoll_ctl: 21, epoll_pwait: 22, ioctl: 29, umount2: 39, mount: 40, chdir: 49,
    chroot: 51, openat: 56, close: 57, pipe2: 59, write: 64, eventfd2: 19, capset: 91, unshare: 97,
    sched_setscheduler: 119, sched_setaffinity: 122, kill: 129, setsid: 157, sethostname: 161, prctl: 167, getpid: 172,
    socket: 198, socketpair: 199, bind: 200, listen: 201, shutdown: 210, sendmsg: 211, recvmsg: 212, wait4: 260, prlimit64: 261, setns: 268, getrandom: 278,
    pidfd_open: 434, close_range: 436,
  },
}[process.arch];

const CURRENT_FOLDER = -100;
const WRITE_ONLY = 1, CREATE = 0x40;

const cString = (text) => Buffer.from(`${text}\0`);

// Arguments of calls are numbers, and Buffers for pointers; anything else stands for a null pointer.
class System {
  constructor(addon) {
    this.addon = addon;
  }

  // Returns the result of the call, or a negative error number.
  attempt(name, ...words) {
    return this.addon.call(NUMBERS[name], ...words);
  }

  call(name, ...words) {
    return checked(name, this.attempt(name, ...words));
  }

  fork() {
    return checked('fork', this.addon.fork());
  }

  open(path, flags = 0, folder = CURRENT_FOLDER, mode = 0) {
    return this.call('openat', folder, cString(path), flags, mode);
  }

  // Writes to a file of a folder.
  write(folder, name, text) {
    this.writeAll(this.open(name, WRITE_ONLY, folder), name, text);
  }

  // Makes a file that everybody may read.
  create(path, text) {
    this.writeAll(this.open(path, WRITE_ONLY | CREATE, CURRENT_FOLDER, 0o644), path, text);
  }

  // Writes to a descriptor, and closes it.
  writeAll(descriptor, name, text) {
    const bytes = Buffer.from(text);
    const written = this.attempt('write', descriptor, bytes, bytes.length);
    this.call('close', descriptor);
    checked(`write to ${name}`, written);
  }

  // Returns two descriptors that the call of this name makes.
  pair(name, ...words) {
    const ends = Buffer.alloc(8);
    this.call(name, ...words, ends, 0);
    return [ends.readInt32LE(0), ends.readInt32LE(4)];
  }
}

// Makes no call. It runs the code that makes calls, so that forks find it compiled.
class RehearsedSystem extends System {
  constructor(addon) {
    super({ call: () => 0, fork: () => 0, restartLoop: () => 0, address: () => 0, exit: addon.exit });
  }
}

// Returns the result of a call of this name; throws if it is an error.
function checked(name, result) {
  if (result >= 0) return result;
  throw Object.assign(new Error(`${name} failed: ${getSystemErrorName(result)}`), { errno: -result });
}

// After any error this process is not safely isolated, or no zygote.
function ending(system, run) {
  try {
    run();
  } catch (error) {
    fs.writeSync(2, `${error.stack}\n`);
    system.addon.exit(1);
  }
}

module.exports = { CURRENT_FOLDER, RehearsedSystem, System, cString, checked, ending };
