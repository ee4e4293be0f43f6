// Uses what a fork of Node.js could lose: memory management, compiled code, threads, timers and signals.
const crypto = require('node:crypto');
const fs = require('node:fs');
const { promisify } = require('node:util');

function collectGarbage() {
  const kept = [];
  for (let turn = 0; turn < 100_000; turn += 1) kept[turn % 1000] = { turn, text: `${turn}`, list: [turn, [turn]] };
  return kept.reduce((sum, { list }) => sum + list[0], 0);
}

function compute(turns) {
  let sum = 0;
  for (let turn = 0; turn < turns; turn += 1) sum = (sum + turn * turn) % 1_000_003;
  return sum;
}

async function useFiles() {
  await fs.promises.writeFile('/tmp/check', 'content');
  const texts = await Promise.all([1, 2, 3, 4].map(() => fs.promises.readFile('/tmp/check', 'utf8')));
  fs.unlinkSync('/tmp/check');
  return texts.concat(fs.readdirSync('/tmp'));
}

async function useCrypto() {
  const key = await promisify(crypto.pbkdf2)('a', 'b', 10, 8, 'sha256');
  return [key.toString('hex'), crypto.randomBytes(8).length];
}

function receiveSignal() {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(reject, 2000, new Error('no signal arrived'));
    process.once('SIGUSR2', (name) => (clearTimeout(limit), resolve(name)));
    process.kill(process.pid, 'SIGUSR2');
  });
}

module.exports = async () => {
  await new Promise((resolve) => setTimeout(resolve, 1));
  return [collectGarbage(), compute(1_000_000), await useFiles(), await useCrypto(), await receiveSignal()];
};
