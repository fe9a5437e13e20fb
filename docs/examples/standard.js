// npm install express@4 standardwebhooks
// WEBHOOK_SECRET=whsec_… PORT=3000 node standard.js
const express = require('express');
const { Webhook } = require('standardwebhooks');

const app = express();
const webhook = new Webhook(process.env.WEBHOOK_SECRET);

// The raw body: the signature is made over its bytes.
app.post('/webhooks/cryptopay', express.raw({ type: 'application/json' }), (req, res) => {
  let event;
  try {
    event = webhook.verify(req.body, req.headers);
  } catch (error) {
    return res.status(401).send(error.message);
  }

  console.log(event.type, event.id);
  res.status(200).send('OK');
});

app.listen(process.env.PORT, '127.0.0.1', () => console.log('listening'));
