// What the workers of an equipped zygote find loaded: the modules for connections, the certificates of the host, the
// parser of TypeScript, and what makes ES modules.
'use strict';

const fs = require('node:fs');
require('./module_faults.cjs');
const { warm } = require('./typescript.cjs');

const ROOTS = '/usr/lib/pglambda/roots.pem';
const MODULES = ['net', 'tls', 'dns', 'http', 'https', 'stream/web'];
const certificate = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

// Leaves nothing active, so that workers can be kept. Returns what `more` does, which loads packages.
function equip(system, more = () => null) {
  // The client of `fetch` touches stderr, and a stream of a pipe would stay active in each worker.
  const stderr = system.call('dup', 2);
  system.call('dup3', 0, 2, 0);
  try {
    for (const name of MODULES) require(`node:${name}`);
    new Request('http://localhost'); // loads the client of `fetch`
    trustRoots();
    warm();
    return more();
  } finally {
    system.call('dup3', stderr, 2, 0);
    system.call('close', stderr);
  }
}

// Before 22.19 Node.js reads certificates at its start only.
function trustRoots() {
  const { setDefaultCACertificates } = require('node:tls');
  if (setDefaultCACertificates !== undefined && fs.existsSync(ROOTS)) {
    setDefaultCACertificates(fs.readFileSync(ROOTS, 'latin1').match(certificate) ?? []);
  }
}

module.exports = { equip };
