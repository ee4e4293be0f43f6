// Finds where a script that is no valid ES module has its fault. V8 tells the place in classic scripts only, so the script
// is compiled as one, with spaces in place of what only modules have.
'use strict';

const vm = require('node:vm');

const FILE_NAME = 'script.js';
const RETURN = 'Illegal return statement';
const STATEMENTS_MAX = 200;
const OPENING = '(async function () { "use strict";', CLOSING = '\n})';
const LINE_END = /\r\n|[\n\r\u2028\u2029]/;
const isOfModules = /import statement|import\.meta|token 'export'/;
// Each begins where V8 reports it. Every repetition has a bound: a script may be long, and hostile.
const statements = [
  /import\b(?:[\w$\s{},*'"]{0,5000}?\bfrom\b)?\s{0,99}(?:'[^'\n]{0,500}'|"[^"\n]{0,500}")(?:\s{0,9}with\s{0,9}\{[^}]{0,200}\})?/y,
  /export\s{1,99}default\b/y,
  /export\s{0,99}(?:\{[^}]{0,5000}\}|\*(?:\s{0,99}as\s{1,99}[\w$]{1,100})?)(?:\s{0,99}from\s{0,99}(?:'[^'\n]{0,500}'|"[^"\n]{0,500}"))?/y,
  /export\b/y,
];
const META = 'import.meta';

// Returns the fault with the place in its stack, as V8 has it for classic scripts, if it can be found.
function withPlace(fault, source) {
  if (fault.message === 'Unexpected end of input') {
    fault.stack = `script.js:${source.split(LINE_END).length + 1}\n\n\n${fault.stack}`; // behind it
    return fault;
  }
  const isReturn = fault.message === RETURN; // which a function may have
  const found = isReturn ? firstFault(source, '', '') : firstFault(source, OPENING, CLOSING);
  // Another fault than that of the module has another place.
  if (found?.message === fault.message) fault.stack = found.stack;
  if (isReturn) fault.message += '. An ES module has no top-level return: use `export default`';
  return fault;
}

function firstFault(source, opening, closing) {
  let text = source;
  for (let left = STATEMENTS_MAX; left > 0; left -= 1) {
    const fault = faultOf(`${opening}\n${text}${closing}`);
    if (fault === null || !isOfModules.test(fault.message)) return fault;
    const changed = withoutStatement(text, placeOf(fault, text));
    if (changed === text) return null;
    text = changed;
  }
  return null;
}

function faultOf(text) {
  try {
    new vm.Script(text, { filename: FILE_NAME, lineOffset: -1 });
    return null;
  } catch (error) {
    return error;
  }
}

// Returns the offset at which V8 has found the fault.
function placeOf({ stack }, text) {
  const [, line, caret] = /^script\.js:(\d+)\n.*\n( *)\^/.exec(stack) ?? [];
  let start = 0;
  for (let left = Number(line) - 1; left > 0; left -= 1) start += text.slice(start).match(LINE_END).index + 1;
  return start + (caret?.length ?? 0);
}

function withoutStatement(text, at) {
  const meta = at - META.indexOf('meta');
  if (text.startsWith(META, meta)) return `${text.slice(0, meta)}import_meta${text.slice(meta + META.length)}`;
  for (const statement of statements) {
    statement.lastIndex = at;
    const found = statement.exec(text)?.[0];
    // `void` takes any expression, and also a function or class without a name.
    if (found !== undefined) return text.slice(0, at) + blank(found, /default$/.test(found) ? 'void' : '') + text.slice(at + found.length);
  }
  return text;
}

function blank(found, ending) {
  return found.slice(0, found.length - ending.length).replace(/[^\n\r\u2028\u2029]/g, ' ') + ending;
}

module.exports = { withPlace };
