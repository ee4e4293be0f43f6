// Realms: the global objects and built-in objects that scripts run with.
//
// No execution may find globals or built-in objects that another execution has changed. A new realm takes eight times
// as long as the rest of a run. So executions share one realm whose built-in objects are sealed, and changes are looked
// for after each of them. A script gets a new realm for each execution if its text looks as if it adds to built-in
// objects, if an execution has left a change behind, or if it may be called back after its execution.
'use strict';

const fs = require('node:fs');
const vm = require('node:vm');
const { writeText } = require('./frames.cjs');

const CHANGE = String.raw`\s{0,9}(?:[-+*/%&|^?<>]{0,3}=(?![=>])|\+\+|--)`;
const MEMBER = String.raw`\s{0,9}(?:\.\s{0,9}\w{1,60}|\[[^\]]{0,60}\])`;
// Every repetition has a bound: a script may be long, and hostile.
const looksLikeAdding = new RegExp([
  String.raw`\b(?:prototype|__\w{1,60}__|definePropert(?:y|ies)|[gs]etPrototypeOf|Reflect|Proxy|eval|Function)\b`,
  String.raw`[.['"\x60]\s{0,9}constructor\b`,
  String.raw`\b(?:assign\s{0,9}\(|delete)\s{0,9}(?:global|[A-Z])`,
  String.raw`\b(?:[A-Z]\w{0,60}|global|globalThis)(?:${MEMBER}){1,4}${CHANGE}`,
  String.raw`\b(?:import\s{0,9}\(|WeakRef\b|FinalizationRegistry\b|waitAsync\b)`,
].join('|'));

const { Console } = console;
const stdout = { write: (text) => writeText(1, text) };
const stderr = { write: (text) => writeText(2, text) };
// The globals that each execution has for itself.
const OWN_GLOBALS = {
  global: (execution) => execution.realm.context,
  console: () => new Console({ stdout, stderr, colorMode: false, ignoreErrors: false }),
  setTimeout: (execution) => (...given) => execution.keep(setTimeout(...given)),
  setInterval: (execution) => (...given) => execution.keep(setInterval(...given)),
  setImmediate: (execution) => (...given) => execution.keep(setImmediate(...given)),
};

const firstContext = vm.createContext(vm.constants.DONT_CONTEXTIFY);
const namesOfLanguage = new Set(Object.getOwnPropertyNames(firstContext));
// The names that Node has and plain JavaScript has not. Each is looked up when a script uses it.
const nodeNames = Object.getOwnPropertyNames(globalThis).filter(
  (name) => !namesOfLanguage.has(name) || Object.hasOwn(OWN_GLOBALS, name),
);

function valueOfGlobal(name, execution) {
  return Object.hasOwn(OWN_GLOBALS, name) ? OWN_GLOBALS[name](execution) : globalThis[name];
}

const partsOfRealms = new Map();

// Returns a script that is evaluated to a function in each realm. A fork of the zygote has no files: what it may need is
// in its memory.
function partOfRealm(name) {
  if (!partsOfRealms.has(name)) {
    const filename = `${__dirname}/${name}`;
    partsOfRealms.set(name, new vm.Script(fs.readFileSync(filename, 'utf8'), { filename }));
  }
  return partsOfRealms.get(name);
}

const CALL = 'call.cjs', CALL_ORIGIN = 'call_origin.cjs';

class NewRealm {
  constructor(context, configurable = true) {
    this.context = context;
    this.isShared = !configurable;
    this.random = context.Math.random;
    this.execution = null;
    for (const name of nodeNames) {
      const get = Object.freeze(() => this.execution.global(name));
      const set = Object.freeze((value) => this.execution.globals.set(name, value));
      Object.defineProperty(context, name, { get, set, enumerable: false, configurable });
    }
    this.useCall(CALL);
  }

  // Calls scripts by the convention that this part is for.
  useCall(name) {
    if (this.callName === name) return;
    this.callName = name;
    this.call = partOfRealm(name).runInContext(this.context);
  }

  // Removes what the execution has left; returns whether the next one finds the same realm.
  reset() {
    return false;
  }
}

class SharedRealm extends NewRealm {
  constructor(context) {
    for (const name of Object.keys(OWN_GLOBALS)) delete context[name];
    const isUnchanged = partOfRealm('seal.cjs').runInContext(context)();
    super(context, false);
    this.isUnchanged = isUnchanged;
    this.names = new Set(Reflect.ownKeys(context));
    this.prototype = Object.getPrototypeOf(context);
  }

  reset() {
    for (const name of Reflect.ownKeys(this.context)) {
      if (!this.names.has(name) && !Reflect.deleteProperty(this.context, name)) return false;
    }
    const isSameObject = Object.getPrototypeOf(this.context) === this.prototype && Object.isExtensible(this.context);
    return isSameObject && this.isUnchanged();
  }
}

// Has a realm ready for the next execution.
class Realms {
  constructor() {
    this.areNew = false;
    this.callName = CALL;
    this.realm = new SharedRealm(firstContext);
  }

  // Chooses the kind of realm that the script needs, and how it is called.
  choose(source, convention) {
    this.areNew = looksLikeAdding.test(source);
    this.callName = convention === 'origin' ? CALL_ORIGIN : CALL;
  }

  // Returns the realm for the next execution. A new one takes longer than most scripts.
  ready() {
    const kind = this.areNew ? NewRealm : SharedRealm;
    if (this.realm?.constructor !== kind) this.realm = new kind(vm.createContext(vm.constants.DONT_CONTEXTIFY));
    this.realm.useCall(this.callName);
    return this.realm;
  }

  // Gives up the realm; later executions have a new one each.
  discard() {
    this.realm = null;
    this.areNew = true;
  }
}

module.exports = { OWN_GLOBALS, Realms, firstContext, valueOfGlobal };
