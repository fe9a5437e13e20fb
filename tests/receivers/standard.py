"""A receiver that verifies with the `standardwebhooks` package of PyPI. It talks to a test as serve.js does."""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook

webhook = None
output = threading.Lock()


def say(line):
    with output:
        print(line, flush=True)


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            webhook.verify(body, headers)
            status, answer = 200, b"OK"
        except Exception as error:
            status, answer = 401, str(error).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        delivery = {"headers": headers, "body": body.decode(), "status": status, "verified": status == 200}
        say(json.dumps(delivery))

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
say(f"listening {server.server_address[1]}")
for line in sys.stdin:
    webhook = Webhook(line.strip())
    say("trusting")
os._exit(0)
