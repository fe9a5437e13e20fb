DROP TABLE webhook_attempts;
DROP TABLE webhook_deliveries;
DROP TABLE webhook_events;
DROP TABLE webhook_endpoints;
DROP TABLE idempotency_answers;
DROP TABLE payment_orders;
ALTER TABLE installation DROP COLUMN encryption_key;
