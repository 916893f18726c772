"""A receiver of webhooks that verifies each signature with the reference library.

    receiver.py SECRET

Prints its port, then one JSON object a line for each request: whether the signature is right, the
message id, and the body. Answers 204 to what it verified and 401 to the rest. Ends with its input.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

LOCK = threading.Lock()


def say(**line):
    with LOCK:
        print(json.dumps(line), flush=True)


class Receiver(BaseHTTPRequestHandler):
    webhook = Webhook(sys.argv[1])

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            message = self.webhook.verify(body, headers)
            verified = True
        except WebhookVerificationError:
            message, verified = None, False
        say(event="message", verified=verified, id=headers.get("webhook-id"), message=message)
        self.send_response(204 if verified else 401)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    say(event="listening", port=server.server_address[1])
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()
