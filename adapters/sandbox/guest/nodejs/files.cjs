// The files of executions: the service adds those that a script finds, and reads those that it leaves.
'use strict';

const fs = require('node:fs');

const ROOT = '/files', IN = '/files/in', OUT = '/files/out';
// One entry and one character more than the service takes, so that it sees that there are too many.
const ENTRIES_MAX = 65, LEVELS_MAX = 8, PATH_MAX = 513;
const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = fs.constants;

let folder = null;

// Returns the folder of this worker, which is made at the first use.
const filesFolder = () => (folder ??= new FilesFolder());

// Returns the header and the body of the reply. `tidy` puts the worker back.
function performOnFiles(operation, body, tidy) {
  try {
    switch (operation.op) {
      case 'file': return (add(operation.path, body), [{ kind: 'stored' }, '']);
      case 'list': return [{ kind: 'listed' }, JSON.stringify(leftFiles())];
      case 'read': return [{ kind: 'read' }, read(operation)];
      default: return [{ kind: 'settled', reusable: tidy() && filesFolder().clear() }, ''];
    }
  } catch (error) {
    return [{ kind: 'failed', message: `${error.code ?? error.message}: ${operation.path ?? OUT}` }, ''];
  }
}

// The folder /files, which is empty between executions.
class FilesFolder {
  constructor() {
    makeFolders();
    this.free = freeSpace();
  }

  // Removes everything in it; returns whether all its memory is free. Open files still take some.
  clear() {
    fs.chmodSync(ROOT, 0o700);
    for (const name of fs.readdirSync(ROOT)) fs.rmSync(`${ROOT}/${name}`, { recursive: true, force: true });
    makeFolders();
    return freeSpace() === this.free;
  }
}

function makeFolders() {
  for (const each of [IN, OUT]) fs.mkdirSync(each, 0o700);
}

function freeSpace() {
  const { bfree, ffree } = fs.statfsSync(ROOT);
  return `${bfree} ${ffree}`;
}

// Adds to the end of a file.
function add(path, content) {
  filesFolder();
  fs.mkdirSync(`${IN}/${path.slice(0, path.lastIndexOf('/') + 1)}`, { recursive: true });
  fs.appendFileSync(`${IN}/${path}`, content, { mode: 0o600 });
}

// Returns the path and the size of each regular file, in order. Anything else but a folder has the size -1.
function leftFiles(found = [], above = '', level = 1) {
  for (const name of fs.readdirSync(`${OUT}/${above}`).sort()) {
    if (found.length === ENTRIES_MAX) break;
    const status = fs.lstatSync(`${OUT}/${above}${name}`);
    if (status.isDirectory() && level < LEVELS_MAX) leftFiles(found, `${above}${name}/`, level + 1);
    else found.push([`${above}${name}`.slice(0, PATH_MAX), status.isFile() ? status.size : -1]);
  }
  return found;
}

// Returns bytes of a file that the script has left, as far as there are any.
function read({ path, offset, size }) {
  const file = opened(path);
  try {
    if (!fs.fstatSync(file).isFile()) throw new Error('no regular file');
    const bytes = Buffer.allocUnsafeSlow(size);
    return bytes.subarray(0, fs.readSync(file, bytes, 0, size, offset));
  } finally {
    fs.closeSync(file);
  }
}

// Opens a file. No part of its path may be a link: a script could have changed it since it was listed. Nothing of the
// script runs between the two calls but threads, whose worker is not used again, and which can read what it can read.
function opened(path) {
  const above = `${OUT}/${path}`.slice(0, OUT.length + path.lastIndexOf('/') + 1);
  if (fs.realpathSync(above) !== above) throw new Error('a link');
  return fs.openSync(`${OUT}/${path}`, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
}

module.exports = { filesFolder, performOnFiles };
