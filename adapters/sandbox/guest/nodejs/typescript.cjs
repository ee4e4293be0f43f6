// Replaces the types of a script in TypeScript by spaces, so that its lines and columns stay.
'use strict';

const { stripTypeScriptTypes } = require('node:module');

const TURNS = 30;
const SAMPLE = 'interface A<T> { a?: T }\nconst f = async (x: A<number>): Promise<number> => x!.a as number;\nreturn f(event as any);';
const CLOSING = '\n})';
const CODES = new Set(['ERR_INVALID_TYPESCRIPT_SYNTAX', 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX']);
const LINE_END = /\r\n|[\n\r]/;

let hasFailed = false;

// Returns the script without its types; throws a SyntaxError as V8 does, with the place in its stack.
//
// It is parsed within its wrapper, because a top-level `return` is valid nowhere else. A module has none.
function strip(source, opening, closing = CLOSING) {
  if (stripTypeScriptTypes === undefined) throw new SyntaxError(`TypeScript needs Node.js 22.13 or newer, and this is ${process.version}`);
  const text = `${opening}\n${source}${closing}`;
  let stripped;
  try {
    stripped = quietly(() => stripTypeScriptTypes(text));
  } catch (error) {
    throw CODES.has(error.code) ? asFaultOfScript(error, source, opening, closing) : spend();
  }
  if (stripped.length !== text.length) throw new SyntaxError('the types of the script cannot be removed from its text');
  return stripped.slice(opening.length + 1, stripped.length - closing.length);
}

// The parser is a WebAssembly instance of Node.js. If a script is too deep for it, it fails for all later ones too.
function spend() {
  hasFailed = true;
  return new RangeError('the script is too large or too deep for the parser of TypeScript');
}

// Returns whether the parser has failed, so that this process can judge no further script.
const isSpent = () => hasFailed;

// The first use prints a warning that the function is experimental, into the output of a script.
function quietly(use) {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return use();
  } finally {
    process.emitWarning = emitWarning;
  }
}

// Returns the fault with the place in the script, as the stack of V8 has it. The stack of the parser begins with the
// number of the line, the line before it, the line and a caret; several lines have no caret.
function asFaultOfScript(error, source, opening, closing) {
  const [first, , , caret] = error.stack.split('\n');
  const line = Number(first.slice(1)) - 1; // the wrapper has the first line
  const lines = source.split(LINE_END);
  if (line > lines.length) return faultBehind(line, source, opening, closing);
  const fault = new SyntaxError(messageOf(error));
  const hasColumn = /^ *\^+$/.test(caret) && /^[ -~]*$/.test(lines[line - 1]); // others have the width of their glyphs
  fault.stack = `script.js:${line}\n${lines[line - 1]}\n${hasColumn ? caret : ''}\n\n${fault.stack}`;
  return fault;
}

// Returns the fault of a script that ends too late or too early, so that the parser names a token of the wrapper.
function faultBehind(line, source, opening, closing) {
  if (opening !== '' && isValid(source, `${opening}{`, closing)) return new SyntaxError('Single function literal required'); // as V8 says it
  const fault = new SyntaxError('Unexpected end of input');
  fault.stack = `script.js:${line}\n\n\n${fault.stack}`;
  return fault;
}

function isValid(source, opening, closing) {
  try {
    stripTypeScriptTypes(`${opening}\n${source}${closing}`);
    return true;
  } catch (error) {
    if (!CODES.has(error.code)) spend();
    return false;
  }
}

function messageOf({ code, message }) {
  if (code !== 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX') return message;
  const form = /^TypeScript (.+) is not supported in strip-only mode$/.exec(message)?.[1];
  return form === undefined ? message : `TypeScript's ${form} is not supported: types are removed, and it is more than a type`;
}

// Leaves the parser loaded and compiled, for forks of this process.
function warm() {
  for (let turn = 0; turn < TURNS; turn += 1) strip(SAMPLE, '(async function (event) {');
}

module.exports = { strip, isSpent, warm };
