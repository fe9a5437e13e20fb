# Nothing to install.
# WEBHOOK_SECRET=whsec_… PORT=3000 python plain.py
import hashlib
import hmac
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

secret = os.environ["WEBHOOK_SECRET"].encode()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        expected = hmac.new(secret, body, hashlib.sha256).hexdigest()
        # The bytes as they came: json.dumps(json.loads(body)) would be others.
        signature = self.headers.get("X-Webhook-Signature", "")
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            return self.send_error(401, "Invalid signature")
        event = json.loads(body)
        print(event["type"], event["id"], flush=True)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Receiver)
print("listening", flush=True)
server.serve_forever()
