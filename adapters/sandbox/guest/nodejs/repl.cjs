// Runs scripts whose top-level names are the state: the next execution finds those that JSON can hold.
'use strict';

const FILE_NAME = 'script.js';
const TAKE = '__take';
// Names that mean something else in each execution, and are no part of the state.
const GIVEN = new Set(['event', 'require', TAKE]);
const DROPPED_MAX = 64, NAME_SIZE_MAX = 128, DEPTH_MAX = 100;
const isIdentifier = /^[\p{ID_Start}$][\p{ID_Continue}$]*$/u;
const isOwnName = (name) => isIdentifier.test(name) && !name.startsWith('_') && !GIVEN.has(name);
const tagOf = (value) => Object.prototype.toString.call(value).slice(8, -1);

class ReplScript {
  constructor(source) {
    this.source = source;
  }

  // Returns the script as a function of its event that returns the value of its last expression. It changes the state in
  // the event. `drop` receives the names that do not stay, with their types.
  mainIn({ context }, require, drop) {
    return async (event) => {
      const { state } = event;
      delete event.state;
      const before = new Set(Reflect.ownKeys(context));
      for (const name of Object.keys(state)) if (isOwnName(name)) define(context, name, state[name]);
      define(context, 'event', event);
      define(context, 'require', require);
      const console = new RealmConsole(context);
      try {
        return await console.evaluate(`${this.source}\n//# sourceURL=${FILE_NAME}`);
      } finally {
        event.state = state;
        const names = new Map(Reflect.ownKeys(context).filter((name) => !before.has(name)).map((name) => [name, () => context[name]]));
        for (const [name, value] of console.lexicalNames()) names.set(name, value);
        console.close();
        drop(keep(names, state, context));
      }
    };
  }
}

// Properties, so that a script may declare a variable of the same name.
function define(context, name, value) {
  Object.defineProperty(context, name, { value, writable: true, enumerable: true, configurable: true });
}

// Puts the names that stay into the state, and returns others with their types. Other keys of the state stay as they are.
function keep(names, state, context) {
  const dropped = [];
  for (const name of Object.keys(state)) if (isOwnName(name) && !names.has(name)) delete state[name];
  for (const [name, read] of names) {
    if (typeof name !== 'string' || !isOwnName(name)) continue;
    const value = valueOf(read);
    if (name.length <= NAME_SIZE_MAX && stays(value, context)) state[name] = value;
    else {
      delete state[name];
      if (dropped.length < DROPPED_MAX) dropped.push([name.slice(0, NAME_SIZE_MAX), typeOf(value)]);
    }
  }
  return dropped;
}

function valueOf(read) {
  try { return read(); } catch { return undefined; } // a variable that was not reached
}

function typeOf(value) {
  if (typeof value !== 'object' || value === null) return typeof value;
  try { return tagOf(value).slice(0, 64); } catch { return 'object'; }
}

// Returns whether JSON gives back an equal value.
function stays(value, context) {
  const prototypes = [[Object.prototype, context.Object.prototype], [Array.prototype, context.Array.prototype]];
  try { return isPlain(value, prototypes, DEPTH_MAX); } catch { return false; }
}

function isPlain(value, prototypes, depthLeft) {
  if (value === null || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value !== 'object' || depthLeft === 0) return false;
  const isArray = Array.isArray(value), keys = Reflect.ownKeys(value);
  if (!prototypes[isArray ? 1 : 0].includes(Object.getPrototypeOf(value))) return false;
  if (isArray && keys.length !== value.length + 1) return false;
  return keys.every((key) => (isArray && key === 'length') || isPlainMember(value, key, prototypes, depthLeft));
}

function isPlainMember(holder, key, prototypes, depthLeft) {
  const { value, enumerable, get } = Object.getOwnPropertyDescriptor(holder, key);
  return typeof key === 'string' && enumerable && get === undefined && isPlain(value, prototypes, depthLeft - 1);
}

// Evaluates texts in a realm as the console of a debugger does: with `await`, and declarations that may be repeated.
class RealmConsole {
  constructor(context) {
    const { Session } = require('node:inspector'); // takes 1 ms, in sessions of this kind only
    this.session = new Session();
    this.session.connect();
    this.contextId = this.idOf(context);
    this.taken = undefined;
    context[TAKE] = (value) => { this.taken = value; };
    this.take = this.postNow('Runtime.evaluate', { expression: TAKE, contextId: this.contextId }).result.objectId;
    delete context[TAKE];
  }

  idOf(context) {
    const ids = [];
    this.session.on('Runtime.executionContextCreated', ({ params }) => ids.unshift(params.context.id));
    this.postNow('Runtime.enable', {});
    this.postNow('Runtime.disable', {});
    context[TAKE] = Symbol('realm');
    const isOurs = (contextId) => {
      const { result } = this.postNow('Runtime.evaluate', { expression: `typeof ${TAKE}`, contextId, silent: true });
      return result.value === 'symbol';
    };
    const found = ids.sort((one, other) => other - one).find(isOurs);
    delete context[TAKE];
    return found;
  }

  // Returns the value of the last expression; throws what the text throws.
  async evaluate(expression) {
    const asked = { expression, contextId: this.contextId, replMode: true, awaitPromise: false, userGesture: false };
    const { result, exceptionDetails } = await new Promise((resolve, reject) => {
      this.session.post('Runtime.evaluate', asked, (error, reply) => (error ? reject(new Error(error.message)) : resolve(reply)));
    });
    if (exceptionDetails !== undefined) throw withPlace(this.local(exceptionDetails.exception), exceptionDetails);
    return this.local(result);
  }

  // Returns functions that read the variables at the top level, by name.
  lexicalNames() {
    const { names } = this.postNow('Runtime.globalLexicalScopeNames', { executionContextId: this.contextId });
    const readers = names.filter((name) => isIdentifier.test(name)).map((name) => `[${JSON.stringify(name)}, () => ${name}]`);
    return this.local(this.postNow('Runtime.evaluate', { expression: `[${readers}]`, contextId: this.contextId }).result);
  }

  // Returns the value itself that the debugger describes.
  local({ objectId, unserializableValue, value }) {
    this.taken = undefined;
    const argument = objectId === undefined ? { unserializableValue, value } : { objectId };
    this.postNow('Runtime.callFunctionOn', {
      objectId: this.take, functionDeclaration: 'function (value) { this(value); }', arguments: [argument],
    });
    return this.taken;
  }

  postNow(method, params) {
    let failed = null, replied;
    this.session.post(method, params, (error, reply) => { failed = error; replied = reply; });
    if (failed !== null) throw new Error(failed.message);
    return replied;
  }

  close() {
    this.session.disconnect();
  }
}

// A fault of the text has no frame in it.
function withPlace(error, { lineNumber, columnNumber }) {
  if (error?.name === 'SyntaxError' && !String(error.stack).includes(FILE_NAME)) {
    error.stack = `${FILE_NAME}:${lineNumber + 1}:${columnNumber + 1}\n${error.stack}`;
  }
  return error;
}

module.exports = { ReplScript };
