// A receiver that verifies with the `standardwebhooks` library of npm. How it talks to a test stands in serve.js.
'use strict';

const { Webhook } = require('standardwebhooks');
const { secrets, listen, report } = require('./serve.js');

let webhook;
secrets((secret) => {
  webhook = new Webhook(secret);
});

listen((req, res) => {
  report(req, res);
  const chunks = [];
  req.on('data', (chunk) => chunks.push(chunk));
  req.on('end', () => {
    try {
      webhook.verify(Buffer.concat(chunks), req.headers);
      res.writeHead(200).end('OK');
    } catch (error) {
      res.writeHead(401).end(error.message);
    }
  });
});
