// Evaluated in each realm: calls a script, and writes its result as JSON with the realm's own built-in objects.
(function (script, eventText, require, host) {
  'use strict';
  const { parse, stringify } = JSON;
  const { defineProperty } = Object;
  const { isFinite } = Number;
  const { isView } = ArrayBuffer;
  const tagOf = Function.prototype.call.bind(Object.prototype.toString);
  const unserializable =
    /^\[object ((?:Weak)?(?:Map|Set)|WeakRef|Promise|(?:Shared)?ArrayBuffer|RegExp|Error|(?:Async)?Generator)\]$/;

  // Returns what the value is, if JSON cannot hold it.
  function kindOfUnserializable(value) {
    switch (typeof value) {
      case 'number': return isFinite(value) ? null : 'the number ' + value;
      case 'bigint': return 'a BigInt';
      case 'function': return 'a function';
      case 'symbol': return 'a symbol';
      case 'object': {
        if (value === null) return null;
        if (isView(value)) return 'binary data';
        const tag = unserializable.exec(tagOf(value));
        return tag === null ? null : 'a value of type ' + tag[1];
      }
      default: return null;
    }
  }
  // Returns a sentence about the first value that JSON cannot hold, with its path.
  function findUnserializable(value, path, above) {
    const kind = kindOfUnserializable(value);
    if (kind !== null) return path + ' is ' + kind + ', which JSON cannot hold.';
    if (typeof value !== 'object' || value === null || typeof value.toJSON === 'function') return null;
    if (above.includes(value)) return path + ' is an object that contains itself, which JSON cannot hold.';
    if (above.length > 200) return 'The result is nested too deeply for JSON.';
    for (const key of Object.keys(value)) {
      const child = Array.isArray(value) ? path + '[' + key + ']' : path + '.' + key;
      const found = findUnserializable(value[key], child, [...above, value]);
      if (found !== null) return found;
    }
    return null;
  }
  function checked(key, value) {
    const original = this[key];
    if (isView(original) || kindOfUnserializable(value) !== null) throw unserializable;
    return value;
  }
  // Returns the result as JSON text; an empty text if the script gave none.
  function textOf(value) {
    if (value === undefined) return '';
    let text;
    try {
      text = stringify(value, checked);
    } catch (error) {
      const found = findUnserializable(value, 'result', []);
      if (found === null && error !== unserializable) throw error;
      throw { notSerializable: found ?? 'The value that toJSON returned cannot be written as JSON.' };
    }
    return text === undefined ? 'null' : text;
  }
  function succeed(value) {
    let text;
    try {
      text = textOf(value);
      if (host.state !== null) host.state.keep(changedState());
    } catch (error) {
      return host.fail(error);
    }
    host.succeed(text);
  }

  const module = { exports: {} };
  const exported = () =>
    typeof module.exports === 'function' ? module.exports
      : typeof module.exports?.handler === 'function' ? module.exports.handler : null;
  const event = parse(eventText);
  // Not enumerable, so that an event has the same members as the caller's JSON.
  defineProperty(event, 'progress', { value: progress, writable: true, configurable: true });

  const textBefore = host.state === null ? null : stringify(event.state);
  if (host.state?.isShared) event.state = readOnly(event.state);
  if (host.state !== null) host.state.read = changedState;

  // No execution writes the state. Deeper changes are not noticed, and not saved.
  function readOnly(state) {
    const refuse = () => {
      throw new TypeError('the state is read-only: the mode of the session is "shared". Use "exclusive" to write it');
    };
    return new Proxy(state, { set: refuse, deleteProperty: refuse, defineProperty: refuse, setPrototypeOf: refuse });
  }
  // Returns the state as JSON text; an empty text if it has not changed.
  function changedState() {
    if (host.state.isShared) return '';
    const { state } = event;
    const isObject = typeof state === 'object' && state !== null && !Array.isArray(state);
    if (!isObject || kindOfUnserializable(state) !== null) {
      throw { stateNotSerializable: 'The state must be an object that JSON can hold.' };
    }
    let text;
    try {
      text = stringify(state, checked);
    } catch (error) {
      const found = findUnserializable(state, 'state', []);
      if (found === null && error !== unserializable) throw error;
      throw { stateNotSerializable: found ?? 'The value that toJSON returned cannot be written as JSON.' };
    }
    return text === textBefore ? '' : text;
  }
  function progress(value = null, message = '') {
    if (value !== null && typeof value !== 'number') {
      throw new TypeError(`progress: the value must be a number from 0 to 1 or null, and is a ${typeof value}`);
    }
    if (value !== null && !(value >= 0 && value <= 1)) {
      throw new RangeError(`progress: the value must be from 0 to 1, and is ${value}. Divide what is done by the total`);
    }
    if (typeof message !== 'string') {
      throw new TypeError(`progress: the message must be a string, and is a ${typeof message}`);
    }
    if (message.length > 200) {
      throw new RangeError(`progress: the message has ${message.length} characters, and may have 200. Shorten it`);
    }
    host.report(value, message);
  }
  function callHandler(handler) {
    if (handler.length < 2) return handler(event);
    const returned = handler(event, (error, result) => (error == null ? succeed(result) : host.fail(error)));
    return { then: (resolve, reject) => Promise.resolve(returned).then((v) => v === undefined || resolve(v), reject) };
  }
  async function run() {
    const returned = await script.call(module.exports, event, require, module, module.exports);
    const handler = exported();
    return handler === null ? returned : callHandler(handler);
  }
  run().then(succeed, host.fail);
});
