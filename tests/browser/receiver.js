// Receivers of webhooks on this machine.
'use strict';

const http = require('node:http');
const net = require('node:net');

/** A port that nobody listens on. */
exports.freePort = async function () {
  const server = net.createServer();
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
};

/** A receiver that answers as it is told: `answer` may be changed, and be slow. */
exports.startReceiver = async function (answer = () => ({ status: 200, body: 'OK' })) {
  const receiver = { answer, received: 0 };
  const server = http.createServer((request, response) => {
    request.resume().on('end', async () => {
      receiver.received += 1;
      const { status, body } = await receiver.answer();
      response.writeHead(status, { 'content-type': 'text/plain' }).end(body);
    });
  });
  // A flow that fails leaves it behind, and nobody waits for it.
  server.unref().on('connection', (socket) => socket.unref());
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  receiver.url = (path) => `http://127.0.0.1:${server.address().port}${path}`;
  receiver.end = () => {
    server.closeAllConnections();
    server.close();
  };
  return receiver;
};
