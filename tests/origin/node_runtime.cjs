// The origin's Node.js runtime: runs scripts as bodies of async functions, for a controller at the other end of pipes.
// A line of standard input is {"id": .., "request": {request_id, params, context, script_content}}, a line of standard
// output {"id": .., "body": TEXT}, the body that the container would answer with, whatever its status.
"use strict";
const readline = require("node:readline");
const vm = require("node:vm");

const TIMEOUT_MS = Number(process.env.SCRIPT_TIMEOUT_MS || 5000); // of the wrapper alone, not of the function's run
const SIZE_MAX = 1024 * 1024;

function log(...parts) {
  process.stderr.write(`${parts.join(" ")}\n`);
}

// No module, exports, require or timers: the language itself, Buffer, a console and a part of `process`.
function sandbox() {
  const env = { NODE_ENV: process.env.NODE_ENV || "development" };
  return vm.createContext({ Buffer, console: { log, error: log, warn: log }, process: { env } });
}

async function run({ params, context, script_content: script }) {
  if (!script) throw new Error(`Script not found for language title: ${context.language_title || "default"}`);
  const body = vm.runInContext(`(async (event) => {\n${script}\n})`, sandbox(), { timeout: TIMEOUT_MS });
  return body({ params, context });
}

async function answered(request, size) {
  if (size > SIZE_MAX) return "<!DOCTYPE html>request entity too large";
  const began = process.hrtime.bigint();
  const before = process.memoryUsage().heapUsed;
  const sinceMs = () => Number((process.hrtime.bigint() - began) / 1000000n);
  try {
    const result = await run(request);
    const used = Math.max(0, process.memoryUsage().heapUsed - before);
    return JSON.stringify({ result, execution_time_ms: sinceMs(), memory_usage_bytes: used });
  } catch (error) {
    return JSON.stringify({ error: error.message, execution_time_ms: sinceMs() });
  }
}

process.on("uncaughtException", log);
process.on("unhandledRejection", log);
const lines = readline.createInterface({ input: process.stdin });
lines.on("line", async (line) => {
  const { id, request } = JSON.parse(line);
  const body = await answered(request, Buffer.byteLength(line));
  process.stdout.write(`${JSON.stringify({ id, body })}\n`);
});
lines.on("close", () => process.exit(0));
