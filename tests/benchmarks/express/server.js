// Sessions as most Node.js services keep them in PostgreSQL: express-session with connect-pg-simple.
// Where the database is comes from libpq's variables. A read does not touch the stored session.
'use strict';

const express = require('express');
const session = require('express-session');
const { Pool } = require('pg');

const PgStore = require('connect-pg-simple')(session);

const DAY_MS = 24 * 3600 * 1000;

const store = new PgStore({
  pool: new Pool({ max: 8 }),
  tableName: 'express_sessions',
  pruneSessionInterval: false,
  disableTouch: true,
});

const app = express();
app.disable('etag');
app.disable('x-powered-by');
app.get('/ready', (request, response) => response.json({ status: 'ready' }));
app.use(session({
  store,
  secret: process.env.SESSION_SECRET,
  resave: false,
  saveUninitialized: false,
  cookie: { maxAge: DAY_MS },
}));

const found = (request, response, next) => (request.session.script ? next() : response.status(404).end());

app.post('/sessions', express.json(), (request, response) => {
  Object.assign(request.session, { ...request.body, count: 0 });
  response.json({ id: request.sessionID });
});

app.get('/sessions', found, (request, response) => {
  const { context, count, cookie } = request.session;
  response.json({ id: request.sessionID, context, count, expires: cookie.expires });
});

app.patch('/sessions', found, express.json(), (request, response) => {
  request.session.context = request.body.context;
  response.json({ id: request.sessionID, context: request.session.context });
});

app.post('/sessions/count', found, (request, response) => {
  request.session.count += 1;
  response.json({ id: request.sessionID, count: request.session.count });
});

app.listen(Number(process.env.PORT), '127.0.0.1');
