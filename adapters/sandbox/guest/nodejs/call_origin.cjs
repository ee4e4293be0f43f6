// Evaluated in the realms of scripts that were written for the origin: calls such a script, and writes its result as
// JSON.stringify does, with the realm's own built-in objects.
(function (script, eventText, require, host) {
  'use strict';
  const { parse, stringify } = JSON;
  const refused = /^(?:Converting circular structure|Do not know how to serialize a BigInt)/;

  // Returns the result as JSON text; an empty text if the script gave none.
  function textOf(value) {
    try {
      return stringify(value) ?? '';
    } catch (error) {
      const { name, message } = Object(error);
      if (name === 'RangeError') throw { notSerializable: 'The result is nested too deeply for JSON.' };
      if (!refused.test(message)) throw error;
      throw { notSerializable: `The result cannot be written as JSON: ${message}` };
    }
  }
  function succeed(value) {
    let text;
    try { text = textOf(value); } catch (error) { return host.fail(error); }
    host.succeed(text);
  }

  const module = { exports: {} };
  const { params, context } = parse(eventText);
  const event = { params, context };

  function callExported(handler) {
    if (handler.length < 2) return handler(event);
    return new Promise((resolve, reject) => {
      const returned = handler(event, (error, result) => (error == null ? resolve(result) : reject(error)));
      Promise.resolve(returned).then((value) => value === undefined || resolve(value), reject);
    });
  }
  // What the script returns counts first: the origin has no module, so its scripts export nothing, or only in part.
  async function run() {
    const returned = await script(require, module, module.exports)(event);
    if (returned !== undefined) return returned;
    const { exports } = module;
    const handler = typeof exports === 'function' ? exports : exports?.handler;
    return typeof handler === 'function' ? callExported(handler) : undefined;
  }
  run().then(succeed, host.fail);
});
