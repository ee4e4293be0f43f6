// The progress that a script reports while it runs.
'use strict';

const BURST_MAX = 20;
// Notices in a second. Of more, the newest is sent with the next call, or at the end.
const RATE_MAX = 10;

const { hrtime } = process;
const monotonicMs = () => Number(hrtime.bigint() / 1_000_000n);

class ProgressReporter {
  // `notify` sends a notice.
  constructor(notify) {
    this.notify = notify;
    this.count = 0;
    this.startedMs = null;
    this.unsent = null;
  }

  report(value, message) {
    this.unsent = { value, message: message.toWellFormed() };
    const nowMs = monotonicMs();
    this.startedMs ??= nowMs;
    if (this.count >= BURST_MAX + (RATE_MAX * (nowMs - this.startedMs)) / 1000) return;
    this.count += 1;
    this.send();
  }

  send() {
    if (this.unsent !== null) this.notify(this.unsent);
    this.unsent = null;
  }

  // Sends what is unsent. What a script reports later is dropped.
  close() {
    this.send();
    this.notify = () => {};
  }
}

module.exports = { ProgressReporter };
