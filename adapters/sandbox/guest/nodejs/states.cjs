// The state that a script finds in its event, and whether it has changed it.
'use strict';

// The state of one execution. `read` returns its text as the script has left it; an empty text if it has not changed.
class KeptState {
  constructor({ size_max: sizeMax, shared, always }) {
    this.sizeMax = sizeMax;
    this.isShared = shared;
    this.isKeptByFailures = always;
    this.text = '';
    this.failure = null;
    this.read = () => '';
  }

  // Takes the text of a script that has succeeded.
  keep(text) {
    const size = Buffer.byteLength(text);
    if (size > this.sizeMax) {
      this.failure = { code: 'STATE_TOO_LARGE', message: '', observed: size };
    } else if (hasLoneSurrogate(text)) {
      this.failure = {
        code: 'STATE_NOT_SERIALIZABLE', message: 'The state has a string with a lone surrogate, which JSON cannot hold.',
      };
    } else {
      this.text = text;
    }
  }

  // Returns what is to be saved after the execution.
  textAfter(hasFailed) {
    if (!hasFailed) return this.text;
    this.text = '';
    if (this.isKeptByFailures && this.failure === null) {
      try { this.keep(this.read()); } catch { return ''; }
    }
    return this.text;
  }
}

const hasLoneSurrogate = (text) => text.includes('\\ud') && /(?:^|[^\\])(?:\\\\)*\\ud[89a-f]/.test(text);

module.exports = { KeptState, hasLoneSurrogate };
