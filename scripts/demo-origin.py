#!/usr/bin/python3
"""demo-origin — a small origin for scripts/demo.

    demo-origin.py PORT

Listens on 127.0.0.1:PORT, or on a free port if that one is taken or 0, and prints which. Answers any
request with JSON that says what arrived: method, path, headers, bytes of the body."""
import json
import socketserver
import sys
from http.server import BaseHTTPRequestHandler


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "demo-origin"
    sys_version = ""

    def answer(self):
        got = len(self.rfile.read(int(self.headers.get("content-length") or 0)))
        said = {"origin": "it arrived", "method": self.command, "path": self.path,
                "headers": {k.lower(): v for k, v in self.headers.items()}, "body_bytes": got}
        body = (json.dumps(said, indent=2) + "\n").encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = answer

    def log_message(self, *args):
        pass


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def listen(port):
    try:
        return Server(("127.0.0.1", port), Answer)
    except OSError:
        return Server(("127.0.0.1", 0), Answer)


with listen(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as server:
    print(server.server_address[1], flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
