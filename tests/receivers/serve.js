// How the receivers in Node talk to a test, which holds both ends of their standard streams.
//
// standard output  `listening <port>` once; then for every delivery, when it has been answered,
//                  {"headers": {…}, "body": "…", "status": 200, "verified": true}
// standard input   each line is the secret to verify with from now on, and is confirmed by `trusting`;
//                  its end is the receiver's end, however the test ended
'use strict';

const http = require('node:http');
const readline = require('node:readline');

exports.secrets = function (trust) {
  const lines = readline.createInterface({ input: process.stdin });
  lines.on('line', (secret) => {
    trust(secret);
    console.log('trusting');
  });
  lines.on('close', () => process.exit());
};

// Watches the body go by and leaves reading it to the receiver.
exports.report = function (req, res, next) {
  const chunks = [];
  const emit = req.emit;
  req.emit = function (event, chunk) {
    if (event === 'data') chunks.push(chunk);
    return emit.apply(this, arguments);
  };
  res.on('finish', () => {
    const body = Buffer.concat(chunks).toString('utf8');
    const { headers } = req;
    console.log(JSON.stringify({ headers, body, status: res.statusCode, verified: res.statusCode === 200 }));
  });
  next?.();
};

exports.listen = function (handler) {
  const server = http.createServer(handler);
  server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`));
};
