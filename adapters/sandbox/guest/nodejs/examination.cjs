// Finds in a script what behaves differently here than in the origin. By the parser: whether it declares names that are
// parameters here, or closes the function around it. By its text: the rest, so strings and comments count as well.
'use strict';

const { check } = require('./scripts.cjs');

const FINDINGS_MAX = 50;
const TEXT_SIZE_MAX = 100;
const PATTERNS = [
  ['N1', /\b(?:NaN|Infinity|new (?:Map|Set|WeakMap|WeakSet|RegExp)|Buffer\.\w+|new \w+Array)\b/g],
  ['N3', /\bprocess\.env\b(?:\.\w+)?/g],
  ['P7', /\brequire\s{0,9}\([^)]{0,60}\)|\bfetch\s{0,9}\(|\bimport\s{0,9}\([^)]{0,60}\)/g],
  ['P8', /\bset(?:Timeout|Interval|Immediate)\b/g],
  ['E1', /\bmodule\.exports\b|\bexports\.\w+\s{0,9}=(?!=)/g],
];

// Returns findings as arrays of a code, a line and a text.
function examine(source) {
  const findings = [...findByParser(source)];
  for (const [code, pattern] of PATTERNS) {
    for (const { 0: text, index } of source.matchAll(pattern)) {
      if (findings.length >= FINDINGS_MAX) return findings;
      findings.push([code, lineAt(source, index), text.slice(0, TEXT_SIZE_MAX)]);
    }
  }
  return findings;
}

function* findByParser(source) {
  const own = check(source, 'own');
  const origin = check(source, 'origin');
  if (origin === null && own !== null) yield ['N2', own.line ?? 1, own.message.slice(0, TEXT_SIZE_MAX)];
  if (origin !== null && /closes the function around it/.test(origin.message)) yield ['N5', 1, origin.message.slice(0, TEXT_SIZE_MAX)];
}

function lineAt(source, index) {
  return source.slice(0, index).split('\n').length;
}

module.exports = { examine };
