// Parses scripts, and says why one does not parse.
'use strict';

const vm = require('node:vm');

const FILE_NAME = 'script.js';
const PARAMETERS = ['event', 'require', 'module', 'exports'];
const AsyncFunction = (async () => {}).constructor;

// Returns the script, which evaluates to a function of PARAMETERS in the context that runs it.
function parse(source) {
  const script = compile(source);
  // A script that closes the wrapper is valid inside it, but not as the body of a function.
  new AsyncFunction(...PARAMETERS, source);
  return script;
}

function compile(source) {
  // The wrapper has its own line, so that the script keeps its line and column numbers.
  return new vm.Script(`(async function (${PARAMETERS.join(', ')}) {\n${source}\n})`, {
    filename: FILE_NAME,
    lineOffset: -1,
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
}

// Returns the faults of the first script and of those that begin within this CPU time; null for one that parses.
function checkAll(sources, cpuSeconds) {
  const faults = [];
  const before = process.cpuUsage();
  for (const source of sources) {
    faults.push(check(source));
    const { user, system } = process.cpuUsage(before);
    if (user + system >= cpuSeconds * 1e6) break;
  }
  return faults;
}

// Returns null, or the fault of a script that does not parse.
function check(source) {
  try {
    parse(source);
    return null;
  } catch (error) {
    return faultOf(error, source);
  }
}

function faultOf(error, source) {
  if (error instanceof RangeError) return { message: 'too large or too deep to check', line: null, column: null };
  if (error.message === 'Single function literal required') {
    return { message: 'the script closes the function around it: a closing brace is too many', line: null, column: null };
  }
  return { message: explainModuleSyntax(String(error.message)), ...positionIn(String(error.stack), source) };
}

function positionIn(stack, source) {
  const reported = Number(/^script\.js:(\d+)/.exec(stack)?.[1]);
  if (Number.isNaN(reported)) return { line: null, column: null };
  const lines = source.split('\n').length;
  const caret = reported > lines ? null : /^( *)\^/m.exec(stack);
  return { line: Math.min(Math.max(reported, 1), lines), column: caret === null ? 1 : caret[1].length + 1 };
}

function explainModuleSyntax(message) {
  const isOfModules = /import statement|import\.meta|token 'export'|import call expects/.test(message);
  return isOfModules ? `${message}. ES module syntax is not supported here: use require() and module.exports` : message;
}

module.exports = { parse, checkAll, explainModuleSyntax };
