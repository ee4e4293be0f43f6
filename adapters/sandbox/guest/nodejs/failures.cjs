// Describes why an execution failed.
'use strict';

const fs = require('node:fs');
const { explainModuleSyntax } = require('./scripts.cjs');

// A file that only workers with a network have.
const HOSTS = '/etc/hosts';

const TEXT_SIZE_MAX = 16_384;
const NAME_SIZE_MAX = 200;

function failureOf(error) {
  try {
    return describe(error);
  } catch {
    return { code: 'SCRIPT_ERROR', message: 'The script threw a value that cannot be described.' };
  }
}

function describe(error) {
  if (error?.notSerializable !== undefined && Object.keys(error).length === 1) {
    return { code: 'RESULT_NOT_SERIALIZABLE', message: cut(String(error.notSerializable)) };
  }
  if (error?.stateNotSerializable !== undefined && Object.keys(error).length === 1) {
    return { code: 'STATE_NOT_SERIALIZABLE', message: cut(String(error.stateNotSerializable)) };
  }
  return { code: codeOf(error), ...detailsOf(error) };
}

function codeOf(error) {
  if (error === null || typeof error !== 'object') return 'SCRIPT_ERROR';
  const { code, syscall, message } = error;
  if (code === 'ERR_MEMORY_ALLOCATION_FAILED' || /^Array buffer allocation failed/.test(message)) return 'MEMORY_LIMIT';
  if (/WebAssembly\.Memory\(\): could not allocate memory/.test(message)) return 'MEMORY_LIMIT';
  if (code === 'EAGAIN' && /^(spawn|fork)/.test(syscall)) return 'PROCESS_LIMIT';
  if (code === 'ERR_WORKER_INIT_FAILED') return 'PROCESS_LIMIT';
  return 'SCRIPT_ERROR';
}

function detailsOf(error) {
  const isError = error !== null && typeof error === 'object' && 'message' in error;
  if (!isError) return { message: cut(`The script threw ${inspected(error)}`) };
  const stack = withoutGuestFrames(String(error.stack ?? ''));
  const [, line, column] = /script\.js:(\d+)(?::(\d+))?/.exec(stack) ?? [];
  return {
    name: cut(String(error.name ?? 'Error'), NAME_SIZE_MAX),
    message: cut(explainModuleSyntax(String(error.message)) + refusalIn(error) + missedIn(error)),
    stack: cut(stack),
    line: line === undefined ? null : Number(line),
    column: column === undefined ? null : Number(column),
  };
}

// Strings are cut no earlier than the whole text: the service looks for secrets only at its end.
const inspected = (value) => require('node:util').inspect(value, { depth: 2, maxStringLength: TEXT_SIZE_MAX });

// Names the call that the sandbox refused, if the error or its cause has it.
function refusalIn(error) {
  const { code, syscall } = error.syscall === undefined && error.cause ? error.cause : error;
  if (error.message === 'fetch failed' && fs.existsSync(HOSTS)) return causeOf(error);
  if (/^(connect|bind|listen|socket)/.test(syscall) || /^(getaddrinfo|query)/.test(syscall)) {
    if (fs.existsSync(HOSTS)) return causeOf(error);
    return ` (the sandbox has no network: ${syscall} was refused)`;
  }
  return code === 'EPERM' && syscall !== undefined ? ` (the sandbox refuses ${syscall})` : '';
}

const missedIn = ({ name, message }) => {
  const isMissed = name === 'ReferenceError' && /^(?:require|module|exports) is not defined$/.test(message);
  return isMissed ? '. An ES module has no require and no module: use import and export' : '';
};

// Clients tell only by the cause what happened; the service knows more about a script with a network.
const causeOf = ({ cause }) => (cause?.message === undefined ? '' : ` (${String(cause.message)})`);

const isGuestFrame = (line) =>
  /^ +at /.test(line) && (line.includes(`${__dirname}/`) || /node:internal|node:vm|node:fs:/.test(line));

const withoutGuestFrames = (stack) => stack.split('\n').filter((line) => !isGuestFrame(line)).join('\n');

function cut(text, sizeMax = TEXT_SIZE_MAX) {
  return (text.length <= sizeMax ? text : `${text.slice(0, sizeMax)}...`).toWellFormed();
}

module.exports = { failureOf };
