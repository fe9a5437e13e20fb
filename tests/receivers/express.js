// The receiver of the documented page in an Express 4 application: checks `X-Webhook-Signature` over
// `JSON.stringify(req.body)`. How it talks to a test stands in serve.js.
'use strict';

const express = require('express');
const { secrets, listen, report } = require('./serve.js');

const app = express();
app.use(report);
app.use(express.json());

secrets((secret) => {
  process.env.WEBHOOK_SECRET = secret;
});

// From here on it is the page's text.

const crypto = require('crypto');

function verifyWebhookSignature(payload, signature, secret) {
  const expectedSignature = crypto
    .createHmac('sha256', secret)
    .update(payload, 'utf8')
    .digest('hex');

  return crypto.timingSafeEqual(
    Buffer.from(signature, 'hex'),
    Buffer.from(expectedSignature, 'hex')
  );
}

app.post('/webhooks/cryptopay', (req, res) => {
  const signature = req.headers['x-webhook-signature'];
  const payload = JSON.stringify(req.body);

  if (!verifyWebhookSignature(payload, signature, process.env.WEBHOOK_SECRET)) {
    return res.status(401).send('Invalid signature');
  }

  // Process webhook...
  res.status(200).send('OK');
});

// To here.

listen(app);
