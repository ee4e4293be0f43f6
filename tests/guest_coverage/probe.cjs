// Records which blocks of the guest's JavaScript run. Node loads it before the worker.
//
// Each reply, and each message of a zygote to its trial fork, appends one line to a file: what V8 has counted since the line before. A worker that is killed before its
// reply loses its counts.
'use strict';

const fs = require('node:fs');
const { randomBytes } = require('node:crypto');
const { Session } = require('node:inspector');

const file = `/coverage/${randomBytes(8).toString('hex')}.v8`;
const STREAMS = 3;
const { writeSync } = fs;
const session = new Session();
session.connect();

function ask(method, parameters) {
  let response;
  session.post(method, parameters, (error, result) => (response = error ?? result));
  if (response instanceof Error) throw response;
  return response;
}

function record() {
  const { result } = ask('Profiler.takePreciseCoverage');
  const ofGuest = result.filter(({ url }) => url.includes('/pglambda/'));
  if (ofGuest.length > 0) fs.appendFileSync(file, `${JSON.stringify(ofGuest)}\n`);
}

ask('Profiler.enable');
ask('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
fs.writeSync = (descriptor, ...given) => {
  if (descriptor >= STREAMS) record();
  return writeSync(descriptor, ...given);
};
delete require.cache[__filename];
