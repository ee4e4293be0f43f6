// Evaluated in the shared realm: seals its built-in objects, and returns a function that looks for changes.
(function () {
  'use strict';
  const { seal, isExtensible, getPrototypeOf, getOwnPropertyDescriptor, defineProperty } = Object;
  const { ownKeys } = Reflect;

  // By these a script is called back after its execution.
  delete globalThis.FinalizationRegistry;
  delete globalThis.WeakRef;
  delete Atomics.waitAsync;

  // Sealing these would make them slow. All their members are compared instead.
  const unsealed = new Set([RegExp.prototype, Promise.prototype]);
  const reached = new Set();
  const pending = [];
  // Every member that stays writable, with its value.
  const holders = [], names = [], values = [];

  function reach(value) {
    if (value !== Object(value) || value === globalThis || reached.has(value)) return;
    reached.add(value);
    pending.push(value);
  }
  function watchMembers(holder) {
    const keys = ownKeys(holder);
    if (typeof holder === 'function' && keys.length === 2) return; // Only a name and a length.
    for (const key of keys) {
      const { value, writable, get, set } = getOwnPropertyDescriptor(holder, key);
      if (writable === true && !unsealed.has(holder)) holders.push(holder), names.push(key), values.push(value);
      reach(value), reach(get), reach(set);
    }
  }
  function sealPending() {
    while (pending.length > 0) {
      const next = pending.pop();
      reach(getPrototypeOf(next));
      watchMembers(next);
      if (!unsealed.has(next)) seal(next);
    }
  }
  function shapeOf(holder) {
    const keys = ownKeys(holder);
    return [isExtensible(holder), getPrototypeOf(holder), keys.length, ...keys.flatMap((key) => {
      const { value, get, set, configurable, writable } = getOwnPropertyDescriptor(holder, key);
      return [key, value, get, set, configurable, writable];
    })];
  }

  watchMembers(globalThis);
  reach(getPrototypeOf(globalThis));
  for (const key of ownKeys(globalThis)) defineProperty(globalThis, key, { configurable: false });
  // Objects that syntax and calls make, and that have no name.
  [
    async function () {}, function* () {}, async function* () {},
    [].values(), ''[Symbol.iterator](), new Map().keys(), new Set().keys(), ''.matchAll(/./g),
    getOwnPropertyDescriptor(function () { return arguments; }(), 'callee').get,
  ].forEach(reach);
  const stack = getOwnPropertyDescriptor(new Error(''), 'stack');
  [stack.get, stack.set].forEach(reach);
  if (typeof Iterator === 'function') [Iterator.from({ next() {} }), [].values().map((each) => each)].forEach(reach);
  if (typeof Intl === 'object') {
    // Sealed at the first call: the first segments of a process take 7 ms to make.
    const holder = Intl.Segmenter.prototype;
    const segment = Function.prototype.call.bind(holder.segment);
    holder.segment = { segment(text) {
      const segments = segment(this, text);
      reach(getPrototypeOf(segments));
      reach(getPrototypeOf(segments[Symbol.iterator]()));
      sealPending();
      return segments;
    } }.segment;
  }
  sealPending();

  const { exec } = RegExp.prototype;
  const shapes = [...unsealed].map((holder) => [holder, shapeOf(holder)]);
  // Returns whether no built-in object has changed, and clears what RegExp remembers of the last match.
  return () => {
    for (let at = 0; at < holders.length; at += 1) {
      // No code of a script runs here: a member of a sealed object cannot become a getter.
      if (holders[at][names[at]] !== values[at]) return false;
      // Freezing an object freezes its first member too.
      if (holders[at] !== holders[at - 1] && !getOwnPropertyDescriptor(holders[at], names[at]).writable) return false;
    }
    // The built-in functions that this uses are unchanged, as the loop above has found.
    for (const [holder, shape] of shapes) {
      const now = shapeOf(holder);
      if (now.length !== shape.length || now.some((each, at) => each !== shape[at])) return false;
    }
    RegExp.input = '';
    exec.call(/(?:)/, '');
    return true;
  };
});
