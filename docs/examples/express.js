// npm install express@4
// WEBHOOK_SECRET=whsec_… PORT=3000 node express.js
const crypto = require('crypto');
const express = require('express');

const app = express();
app.use(express.json());

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

  console.log(req.body.type, req.body.id);
  res.status(200).send('OK');
});

app.listen(process.env.PORT, '127.0.0.1', () => console.log('listening'));
