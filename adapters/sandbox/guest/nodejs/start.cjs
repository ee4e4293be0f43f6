// Runs a file of this folder: `start.cjs NAME CHANNEL`, where CHANNEL is the number of a descriptor.
'use strict';

const fs = require('node:fs');
const vm = require('node:vm');

const parts = new Map();

// Loads the other files of this folder. The cache of Node's own require() is open to scripts, and would hand them the
// channel and the present execution. It also takes 0.2 ms for each file.
function part(name) {
  if (!name.startsWith('./')) return require(name);
  if (!parts.has(name)) {
    const filename = `${__dirname}/${name.slice(2)}`;
    const module = { exports: {} };
    const parameters = ['require', 'module', '__dirname'];
    vm.compileFunction(fs.readFileSync(filename, 'utf8'), parameters, { filename })(part, module, __dirname);
    parts.set(name, module.exports);
  }
  return parts.get(name);
}

const [name, channel] = process.argv.slice(2);
process.argv.length = 1;
part(`./${name}.cjs`).main(Number(channel));
