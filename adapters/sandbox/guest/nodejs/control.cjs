// The zygote's end of its control socket: messages of JSON, with descriptors beside them.
'use strict';

const MESSAGE_SIZE_MAX = 65_536;
const DESCRIPTORS_MAX = 3;
const CLOSED_ON_EXEC = 0x40000000, WITHOUT_SIGNAL = 0x4000;
const SOCKETS = 1, RIGHTS = 1; // SOL_SOCKET, SCM_RIGHTS
// Offsets in struct msghdr and in struct cmsghdr.
const VECTOR = 16, VECTORS = 24, ANCILLARY = 32, ANCILLARY_SIZE = 40, HEADER_SIZE = 56;
const LEVEL = 8, KIND = 12, RIGHTS_AT = 16, DESCRIPTOR_SIZE = 4;

class ControlSocket {
  constructor(system, descriptor) {
    this.system = system;
    this.descriptor = descriptor;
    this.bytes = Buffer.alloc(MESSAGE_SIZE_MAX);
    this.ancillary = Buffer.alloc(RIGHTS_AT + 8 * DESCRIPTORS_MAX);
    this.vector = Buffer.alloc(16);
    this.header = Buffer.alloc(HEADER_SIZE);
  }

  // Returns a message and its descriptors; null if the service has ended.
  receive() {
    this.describe(MESSAGE_SIZE_MAX, this.ancillary.length);
    const size = this.system.call('recvmsg', this.descriptor, this.header, CLOSED_ON_EXEC);
    if (size === 0) return null;
    const end = this.header.readBigUInt64LE(ANCILLARY_SIZE) === 0n ? 0 : Number(this.ancillary.readBigUInt64LE(0));
    const descriptors = [];
    for (let at = RIGHTS_AT; at < end; at += DESCRIPTOR_SIZE) descriptors.push(this.ancillary.readInt32LE(at));
    return [JSON.parse(this.bytes.toString('utf8', 0, size)), descriptors];
  }

  // Sends a message, with a descriptor unless that is null.
  send(message, descriptor = null) {
    const size = this.bytes.write(JSON.stringify(message));
    if (descriptor !== null) {
      this.ancillary.writeBigUInt64LE(BigInt(RIGHTS_AT + DESCRIPTOR_SIZE), 0);
      this.ancillary.writeInt32LE(SOCKETS, LEVEL);
      this.ancillary.writeInt32LE(RIGHTS, KIND);
      this.ancillary.writeInt32LE(descriptor, RIGHTS_AT);
    }
    this.describe(size, descriptor === null ? 0 : RIGHTS_AT + 8);
    this.system.call('sendmsg', this.descriptor, this.header, WITHOUT_SIGNAL);
  }

  describe(size, ancillarySize) {
    this.vector.writeBigUInt64LE(this.addressOf(this.bytes), 0);
    this.vector.writeBigUInt64LE(BigInt(size), 8);
    this.header.fill(0);
    this.header.writeBigUInt64LE(this.addressOf(this.vector), VECTOR);
    this.header.writeBigUInt64LE(1n, VECTORS);
    if (ancillarySize === 0) return;
    this.header.writeBigUInt64LE(this.addressOf(this.ancillary), ANCILLARY);
    this.header.writeBigUInt64LE(BigInt(ancillarySize), ANCILLARY_SIZE);
  }

  addressOf(buffer) {
    return BigInt(this.system.addon.address(buffer));
  }
}

// Sends one byte over a stream socket, with these descriptors.
function sendDescriptors(system, socket, byte, descriptors) {
  const address = (buffer) => BigInt(system.addon.address(buffer));
  const content = Buffer.from([byte]);
  const vector = Buffer.alloc(16), header = Buffer.alloc(HEADER_SIZE);
  const size = RIGHTS_AT + DESCRIPTOR_SIZE * descriptors.length;
  const ancillary = Buffer.alloc((size + 7) & ~7);
  vector.writeBigUInt64LE(address(content), 0);
  vector.writeBigUInt64LE(1n, 8);
  header.writeBigUInt64LE(address(vector), VECTOR);
  header.writeBigUInt64LE(1n, VECTORS);
  if (descriptors.length > 0) {
    ancillary.writeBigUInt64LE(BigInt(size), 0);
    ancillary.writeInt32LE(SOCKETS, LEVEL);
    ancillary.writeInt32LE(RIGHTS, KIND);
    descriptors.forEach((each, at) => ancillary.writeInt32LE(each, RIGHTS_AT + DESCRIPTOR_SIZE * at));
    header.writeBigUInt64LE(address(ancillary), ANCILLARY);
    header.writeBigUInt64LE(BigInt(ancillary.length), ANCILLARY_SIZE);
  }
  system.call('sendmsg', socket, header, WITHOUT_SIGNAL);
}

module.exports = { ControlSocket, sendDescriptors };
