"""h2client — a client of HTTP/2 on python3-h2: what it sends is what a well-behaved client sends."""
import socket
import time

from harness import DEADLINE

try:
    import h2.config
    import h2.connection
    import h2.events
    import h2.settings
except ImportError:
    h2 = None


class H2:
    """A client of HTTP/2 on one connection; streams are buffers that fill as frames come."""

    def __init__(self, port, context=None):
        self.sock = socket.create_connection(("127.0.0.1", port), DEADLINE)
        if context:
            context.set_alpn_protocols(["h2"])
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
            assert self.sock.selected_alpn_protocol() == "h2"
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="latin-1", validate_outbound_headers=False))
        self.h2.initiate_connection()
        self.heads, self.bodies, self.ended, self.resets, self.greedy = {}, {}, set(), {}, set()
        self.gone = False
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.sock.close()

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.sock.sendall(data)

    def turn(self):
        data = self.sock.recv(1 << 18)
        if not data:
            self.gone = True
            return
        for e in self.h2.receive_data(data):
            if isinstance(e, h2.events.ResponseReceived):
                self.heads[e.stream_id] = dict(e.headers)
            elif isinstance(e, h2.events.DataReceived):
                self.bodies[e.stream_id] = self.bodies.get(e.stream_id, b"") + e.data
                if e.stream_id not in self.greedy:
                    self.h2.acknowledge_received_data(e.flow_controlled_length, e.stream_id)
                elif e.flow_controlled_length:
                    self.h2.increment_flow_control_window(e.flow_controlled_length)
            elif isinstance(e, h2.events.StreamEnded):
                self.ended.add(e.stream_id)
            elif isinstance(e, h2.events.StreamReset):
                self.resets[e.stream_id] = e.error_code
        self.flush()

    def until(self, ask):
        end = time.monotonic() + DEADLINE
        while not ask():
            assert time.monotonic() < end and not self.gone
            self.turn()

    def ask(self, headers, end=True):
        id = self.h2.get_next_available_stream_id()
        self.h2.send_headers(id, headers, end_stream=end)
        self.flush()
        return id

    def get(self, path="/"):
        id = self.ask([(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", path)])
        self.until(lambda: id in self.ended)
        return self.heads[id], self.bodies.get(id, b"")

    def connect(self, path="/chat", wait=True, headers=()):
        id = self.ask([(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", path), (":authority", "localhost"),
                       ("sec-websocket-version", "13"), *headers], end=False)
        if wait:
            self.until(lambda: id in self.heads or id in self.resets)
        return id

    def status(self, id):
        return self.heads[id][":status"]

    def send(self, id, data):
        while data:
            n = min(self.h2.local_flow_control_window(id), self.h2.max_outbound_frame_size, len(data))
            if not n:
                self.turn()
                continue
            self.h2.send_data(id, data[:n])
            self.flush()
            data = data[n:]

    def read(self, id, n):
        self.until(lambda: len(self.bodies.get(id, b"")) >= n)
        got, self.bodies[id] = self.bodies[id][:n], self.bodies[id][n:]
        return got

    def end(self, id):
        self.h2.end_stream(id)
        self.flush()

    def reset(self, id):
        self.h2.reset_stream(id)
        self.flush()
