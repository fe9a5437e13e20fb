DROP TABLE audit_events;
DROP TABLE revocations;
DROP TABLE api_keys;
DROP TABLE sessions;
DROP TABLE users;
DROP TABLE installation;
