// What one execution is given beside its event: the module pglambda.
'use strict';

// Returns what a script requires as pglambda. It has no prototype, so it leads a script to no other object of this realm,
// and its values are not enumerable, so that they are not printed with it.
function givenModule(values) {
  const secrets = Object.create(null);
  for (const [name, value] of Object.entries(values)) Object.defineProperty(secrets, name, { value });
  return Object.freeze(Object.assign(Object.create(null), { secrets: Object.freeze(secrets) }));
}

module.exports = { givenModule };
