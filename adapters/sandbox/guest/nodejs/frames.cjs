// Frames between the worker and the service: two little-endian lengths, a JSON header, a body.
'use strict';

const fs = require('node:fs');

const LENGTHS_SIZE = 8;
const BUFFER_SIZE = 65_536;
// Thrown by a read after the service has ended.
const END = Symbol('end of the channel');
const pause = new Int32Array(new SharedArrayBuffer(4));

// Repeats the call until the descriptor is ready for it.
function retried(call) {
  for (;;) {
    try {
      return call();
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      Atomics.wait(pause, 0, 0, 1);
    }
  }
}

function writeAll(descriptor, bytes) {
  for (let at = 0; at < bytes.length; ) at += retried(() => fs.writeSync(descriptor, bytes, at));
}

// The worker's end of its channel.
class Channel {
  constructor(descriptor) {
    this.descriptor = descriptor;
    this.buffer = Buffer.allocUnsafe(BUFFER_SIZE);
    this.unread = this.buffer.subarray(0, 0);
  }

  // Whether the next read waits for the service.
  get isEmpty() {
    return this.unread.length === 0;
  }

  // Returns the header and the body as text.
  readFrame() {
    const lengths = this.readExactly(LENGTHS_SIZE);
    const header = JSON.parse(this.readExactly(lengths.readUInt32LE(0)).toString());
    return [header, this.readExactly(lengths.readUInt32LE(4)).toString()];
  }

  writeFrame(header, body = '') {
    const head = Buffer.from(JSON.stringify(header));
    const tail = Buffer.from(body);
    const lengths = Buffer.allocUnsafe(LENGTHS_SIZE);
    lengths.writeUInt32LE(head.length, 0);
    lengths.writeUInt32LE(tail.length, 4);
    writeAll(this.descriptor, Buffer.concat([lengths, head, tail]));
  }

  readExactly(size) {
    if (this.unread.length < size && size <= this.buffer.length) this.fillBuffer(size);
    if (this.unread.length < size) return this.readLarge(size);
    const taken = Buffer.from(this.unread.subarray(0, size));
    this.unread = this.unread.subarray(size);
    return taken;
  }

  fillBuffer(size) {
    this.buffer.set(this.unread);
    let filled = this.unread.length;
    while (filled < size) filled += this.readSome(this.buffer, filled);
    this.unread = this.buffer.subarray(0, filled);
  }

  readLarge(size) {
    const large = Buffer.allocUnsafe(size);
    large.set(this.unread);
    let filled = this.unread.length;
    this.unread = this.buffer.subarray(0, 0);
    while (filled < size) filled += this.readSome(large, filled);
    return large;
  }

  readSome(target, at) {
    const size = retried(() => fs.readSync(this.descriptor, target, at, target.length - at));
    if (size === 0) throw END;
    return size;
  }
}

module.exports = { Channel, END, writeAll };
