// Parses scripts, and says why one does not parse.
'use strict';

const vm = require('node:vm');
const { firstContext } = require('./realms.cjs');

const FILE_NAME = 'script.js';
// The functions around a script. Scripts that were written for the origin may declare `require`, `module` and `exports`
// themselves, so these are parameters further outside.
const OWN = {
  parameters: 'event, require, module, exports',
  opening: '(async function (event, require, module, exports) {',
};
const NO_WRAPPER = { opening: '', closing: '' };
const ORIGIN = { parameters: 'event', opening: '((require, module, exports) => async (event) => {' };
const LINE_END = /\r\n|[\n\r\u2028\u2029]/;
// That of Node's own realm makes no functions from text: by it, scripts would reach the global object of that realm.
const AsyncFunction = vm.runInContext('(async () => {}).constructor', firstContext);

const wrapperOf = (convention) => (convention === 'origin' ? ORIGIN : OWN);

// Returns the script, which evaluates to its wrapper in the context that runs it; or the module, which is parsed there.
function parse(text, convention, syntax) {
  if (isModule(syntax)) return new (modules().ModuleScript)(textOfModule(text, syntax));
  const wrapper = wrapperOf(convention);
  const source = syntax === 'typescript' ? stripped(text, wrapper) : text;
  const script = compile(source, wrapper);
  // A script that closes the wrapper is valid inside it, but not as the body of a function.
  try {
    new AsyncFunction(wrapper.parameters, source);
  } catch (error) {
    throw new (error.name === 'RangeError' ? RangeError : SyntaxError)(error.message);
  }
  return script;
}

// Loaded at the first use.
let typescript = null, modulesPart = null;

function stripped(text, { opening, closing }) {
  typescript ??= require('./typescript.cjs');
  return typescript.strip(text, opening, closing);
}

const modules = () => (modulesPart ??= require('./modules.cjs'));
const isTyped = (syntax) => syntax === 'typescript' || syntax === 'typescript-module';
// What TypeScript has and JavaScript has not, mostly.
const looksTyped =
  /\b(?:interface\s{1,9}[\w$]{1,99}\s{0,9}[{<]|type\s{1,9}[\w$]{1,99}\s{0,9}=|as\s{1,9}(?:any|const|string|number)\b)|:\s{0,9}(?:string|number|boolean|any|unknown|void|Promise<)/;
const TYPED = '. If it is TypeScript, send "syntax": "typescript"';
const isModule = (syntax) => syntax === 'module' || syntax === 'typescript-module';
const textOfModule = (text, syntax) => (syntax === 'module' ? text : stripped(text, NO_WRAPPER));

// Returns whether this process can judge no further script, because a parser has failed.
const isSpent = () => typescript !== null && typescript.isSpent();

function compile(source, { opening }, furtherOpening = '') {
  // The wrapper has its own line, so that the script keeps its line and column numbers.
  return new vm.Script(`${opening}${furtherOpening}\n${source}\n})`, {
    filename: FILE_NAME,
    lineOffset: -1,
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
}

// Returns the judgements of the first script and of those that begin within this CPU time. A script is its source, or an
// array of its source, its calling convention and its syntax, if it has one.
function judgeAll(judge, scripts, cpuSeconds) {
  const judgements = [];
  const before = process.cpuUsage();
  for (const script of scripts) {
    judgements.push(typeof script === 'string' ? judge(script) : judge(...script));
    const { user, system } = process.cpuUsage(before);
    if (user + system >= cpuSeconds * 1e6 || isSpent()) break;
  }
  return judgements;
}

// Returns null, or the fault of a script that does not parse.
function check(source, convention = 'own', syntax = undefined) {
  try {
    if (isModule(syntax)) modules().requireModule(textOfModule(source, syntax));
    else parse(source, convention, syntax);
    return null;
  } catch (error) {
    const fault = faultOf(error, source, wrapperOf(convention));
    if (!isTyped(syntax) && convention !== 'origin' && looksTyped.test(source)) fault.message += TYPED;
    return isOfModules(String(error.message)) && !isModule(syntax) ? { ...fault, of_modules: true } : fault;
  }
}

function faultOf(error, source, wrapper) {
  if (error instanceof RangeError) return { message: 'too large or too deep to check', line: null, column: null };
  if (error.message === 'Single function literal required') {
    return { message: 'the script closes the function around it: a closing brace is too many', line: null, column: null };
  }
  const message = explainModuleSyntax(String(error.message));
  const line = lineOf(error);
  if (!(line >= 1)) return { message, line: null, column: null };
  if (isBehind(line, source)) return faultAtEnd(message, source, wrapper);
  const caret = /^( *)\^/m.exec(String(error.stack));
  return { message, line, column: caret === null ? 1 : caret[1].length + 1 };
}

function lineOf(error) {
  return Number(/^script\.js:(\d+)/.exec(String(error.stack))?.[1]);
}

function isBehind(line, source) {
  return line > source.split(LINE_END).length;
}

// Returns the fault of a script where V8 reports a token of the wrapper, which the author does not know.
function faultAtEnd(message, source, wrapper) {
  if (message === "Unexpected token '}'" && hasClosedWrapper(source, wrapper)) {
    return { message, ...placeBehind(source.slice(0, source.lastIndexOf('}'))) };
  }
  const isToken = /^(Unexpected|Invalid or unexpected) /.test(message);
  return { message: isToken ? 'Unexpected end of the script' : message, ...placeBehind(source.trimEnd()) };
}

// Tells whether the last closing brace is one too many. A script that ends too early fails behind its end even with a
// further opening brace.
function hasClosedWrapper(source, wrapper) {
  try {
    compile(source, wrapper, '{');
    return true;
  } catch (error) {
    return !isBehind(lineOf(error), source);
  }
}

function placeBehind(text) {
  const lines = text.split(LINE_END);
  return { line: lines.length, column: lines.at(-1).length + 1 };
}

const isOfModules = (message) =>
  /import statement|import\.meta|token 'export'|import call expects|^'import', and 'export'/.test(message);

function explainModuleSyntax(message) {
  if (!isOfModules(message)) return message;
  return `${message}. ES module syntax is not supported here: use require() and module.exports`;
}

module.exports = { parse, check, judgeAll, isSpent, explainModuleSyntax };
