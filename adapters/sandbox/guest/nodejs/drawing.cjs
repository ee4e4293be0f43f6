// Random numbers of packages that are loaded before a fork: what they draw must not make forks draw the same.
'use strict';

const crypto = require('node:crypto');
const { syncBuiltinESMExports } = require('node:module');
const vm = require('node:vm');

// The functions for which Node.js draws ahead.
const DRAWING = [
  [crypto, 'randomUUID'], [crypto, 'randomUUIDv7'], [crypto, 'randomInt'],
  [Object.getPrototypeOf(crypto.webcrypto), 'randomUUID'],
].filter(([holder, name]) => typeof holder[name] === 'function');

let hasDrawn = false;

// Math.random draws its state at its first use in a realm, so all forks would draw the numbers of the zygote. Packages get
// those of another realm while they load. What they keep of it draws as Math.random does later.
function withoutRandomState(load) {
  let random = vm.runInNewContext('Math.random');
  const own = Math.random;
  const places = DRAWING.map(([holder, name]) => [holder, name, noted(holder[name])]);
  try {
    return replaced([...places, [Math, 'random', () => random()]], load);
  } finally {
    random = own;
  }
}

function noted(draw) {
  return function (...given) {
    hasDrawn = true;
    return draw.apply(this, given);
  };
}

// Calls `load` with other functions in these places, which are a holder, a name and the function.
function replaced(places, load) {
  const own = places.map(([holder, name]) => holder[name]);
  const put = (values) => {
    places.forEach(([holder, name], at) => Reflect.set(holder, name, values[at])); // a package may have frozen some
    syncBuiltinESMExports();
  };
  const others = places.map(([, , other]) => other);
  put(others);
  try {
    return load();
  } finally {
    put(places.map(([holder, name], at) => (holder[name] === others[at] ? own[at] : holder[name])));
  }
}

// Exports also whether a package has used one of these functions while it was loaded.
module.exports = { hasDrawn: () => hasDrawn, withoutRandomState };
