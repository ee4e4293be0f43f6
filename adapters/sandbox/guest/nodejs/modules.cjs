// Scripts that are ES modules: how one is made, what it may import, and which of its exports is called.
'use strict';

const { isModuleNamespaceObject } = require('node:util/types');
const vm = require('node:vm');
const { firstContext } = require('./realms.cjs');

const FILE_NAME = 'script.js';
// Node.js frees no module, so a worker takes no further execution after so many.
const RUNS_MAX = 256;
const namesFile = /^(?:\.{0,2}\/|#|(?!node:)[a-z]{1,10}:)/i;

// The modules that scripts have imported, by name, of each realm. An importer cannot change what they export.
const importedIn = new WeakMap();

class ModuleScript {
  constructor(source) {
    this.source = source;
    this.runs = 0;
  }

  // Whether the process has made so many modules that it takes no further execution.
  get isWornOut() {
    return this.runs >= RUNS_MAX;
  }

  // Returns the script as a function of its event that sets `module.exports` to the handler, or returns the result. No
  // execution finds variables of another one: each has a new module. `require` returns what a name stands for.
  mainIn({ context }, require) {
    this.runs += 1;
    const imported = (specifier) => moduleOf(specifier, context, require);
    const module = compile(this.source, context, imported);
    module.linkRequests(module.moduleRequests.map(({ specifier }) => imported(specifier)));
    module.instantiate();
    return async (_event, _require, target) => {
      await module.evaluate();
      const { namespace } = module;
      const exported = 'default' in namespace ? namespace.default : namespace.handler;
      if (typeof exported !== 'function') return namespace.default;
      target.exports = exported;
    };
  }
}

// Throws a SyntaxError if the text is no module, or imports a file.
function requireModule(source) {
  for (const { specifier } of parsed(source).moduleRequests) {
    if (namesFile.test(specifier)) {
      throw new SyntaxError(`a script is one file, so it cannot import '${specifier}'. Import built-in modules, such as node:crypto`);
    }
  }
}

function parsed(source) {
  try {
    return compile(source, firstContext, undefined);
  } catch (error) {
    if (error.name !== 'SyntaxError') throw error;
    throw require('./module_faults.cjs').withPlace(error, source);
  }
}

function compile(source, context, importModuleDynamically) {
  if (vm.SourceTextModule?.prototype.linkRequests === undefined) {
    throw new SyntaxError(`ES modules need Node.js 24.8 or newer, and this is ${process.version}. Use require() and module.exports`);
  }
  return new vm.SourceTextModule(source, { context, identifier: FILE_NAME, importModuleDynamically });
}

// Returns a module with the members of what Node.js has under this name.
function moduleOf(name, context, require) {
  const value = require(name); // it notes what the script uses, so each execution calls it
  if (!importedIn.has(context)) importedIn.set(context, new Map());
  const known = importedIn.get(context);
  // The module pglambda is another one in each execution.
  if (known.get(name)?.value !== value) known.set(name, { value, module: evaluated(name, value, context) });
  return known.get(name).module;
}

function evaluated(name, value, context) {
  const names = new Set([...namesOf(value), 'default']);
  // A package that is an ES module has a default of its own.
  const whole = isModuleNamespaceObject(value) && 'default' in value ? value.default : value;
  const module = new vm.SyntheticModule([...names], () => {
    for (const each of names) module.setExport(each, each === 'default' ? whole : value[each]);
  }, { context, identifier: name });
  module.evaluate();
  return module;
}

function namesOf(value) {
  // The getters of `process` open its streams.
  const isData = (name) => value !== process || Object.getOwnPropertyDescriptor(value, name).get === undefined;
  return Object.keys(value ?? {}).filter(isData);
}

module.exports = { ModuleScript, requireModule };
