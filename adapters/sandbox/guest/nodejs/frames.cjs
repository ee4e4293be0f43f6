// Frames between the worker and the service: two little-endian lengths, a JSON header, a body. A notice has no body, and
// a mark in its first length. A worker may send notices before its reply.
'use strict';

const fs = require('node:fs');

const LENGTHS_SIZE = 8;
const NOTICE = 2 ** 31;
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

// Bytes of frames and output stay in memory of their own, and larger ones are zeroed before they are freed: scripts can
// read the memory from which Node takes small buffers, and freed memory.
const output = Buffer.allocUnsafeSlow(BUFFER_SIZE);

const memoryFor = (size) => (size <= BUFFER_SIZE ? output : Buffer.allocUnsafeSlow(size));

function writeAll(descriptor, bytes, size) {
  for (let at = 0; at < size; ) at += retried(() => fs.writeSync(descriptor, bytes, at, size - at));
  if (bytes !== output) bytes.fill(0);
}

function writeText(descriptor, text) {
  const size = Buffer.byteLength(text), bytes = memoryFor(size);
  bytes.write(text);
  writeAll(descriptor, bytes, size);
}

// The worker's end of its channel.
class Channel {
  constructor(descriptor) {
    this.descriptor = descriptor;
    this.input = Buffer.allocUnsafeSlow(BUFFER_SIZE);
    // What was read and not taken yet.
    this.start = this.end = 0;
  }

  // Whether the next read waits for the service.
  get isEmpty() {
    return this.start === this.end;
  }

  // Returns the header and the body as text, or that of a file as bytes.
  readFrame() {
    this.fill(LENGTHS_SIZE);
    const headerSize = this.input.readUInt32LE(this.start), bodySize = this.input.readUInt32LE(this.start + 4);
    this.start += LENGTHS_SIZE;
    const header = JSON.parse(this.readText(headerSize));
    return [header, header.op === 'file' ? this.readBytes(bodySize) : this.readText(bodySize)];
  }

  writeNotice(header) {
    this.writeFrame(header, '', NOTICE);
  }

  writeFrame(header, body = '', mark = 0) {
    const head = JSON.stringify(header);
    const bodyAt = LENGTHS_SIZE + Buffer.byteLength(head), size = bodyAt + Buffer.byteLength(body);
    const bytes = memoryFor(size);
    bytes.writeUInt32LE(mark + bodyAt - LENGTHS_SIZE, 0);
    bytes.writeUInt32LE(size - bodyAt, 4);
    bytes.write(head, LENGTHS_SIZE);
    if (typeof body === 'string') bytes.write(body, bodyAt);
    else body.copy(bytes, bodyAt);
    writeAll(this.descriptor, bytes, size);
  }

  readText(size) {
    if (size > BUFFER_SIZE) return this.readLarge(size);
    this.fill(size);
    this.start += size;
    return this.input.toString('utf8', this.start - size, this.start);
  }

  // Reads until there are `size` bytes.
  fill(size) {
    if (this.end - this.start >= size) return;
    this.input.copyWithin(0, this.start, this.end);
    this.end -= this.start;
    this.start = 0;
    while (this.end < size) this.end += this.readSome(this.input, this.end);
  }

  readBytes(size) {
    if (size > BUFFER_SIZE) return this.readWhole(size);
    this.fill(size);
    this.start += size;
    return this.input.subarray(this.start - size, this.start);
  }

  readWhole(size) {
    const large = Buffer.allocUnsafeSlow(size);
    let filled = this.input.copy(large, 0, this.start, this.end);
    this.start = this.end = 0;
    while (filled < size) filled += this.readSome(large, filled);
    return large;
  }

  readLarge(size) {
    const large = this.readWhole(size);
    const text = large.toString();
    large.fill(0);
    return text;
  }

  readSome(target, at) {
    const size = retried(() => fs.readSync(this.descriptor, target, at, target.length - at));
    if (size === 0) throw END;
    return size;
  }
}

module.exports = { Channel, END, writeText };
