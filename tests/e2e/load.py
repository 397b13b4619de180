"""load — requests without pause while something happens, every one accounted for."""
import threading
import time

from harness import Client, wait_for


class Load:
    """Threads that ask and check. `good` counts answers, `bad` holds what went wrong: anything that a client could not have known."""

    def __init__(self, g, kept=3, fresh=2, sockets=0, target="/load", port=None, method="GET", check=None):
        self.g, self.target, self.method = g, target, method
        self.port = port or g.port
        self.check = check or (lambda r: r.status == 200)
        self.stop = threading.Event()
        self.good, self.bad, self.closed = 0, [], 0
        self.longest = 0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.kept, daemon=True) for _ in range(kept)]
        self.threads += [threading.Thread(target=self.fresh, daemon=True) for _ in range(fresh)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        self.more(20)
        return self

    def __exit__(self, *exc):
        self.stop.set()
        for t in self.threads:
            t.join(60)

    def more(self, n=30):
        """Waits for n further answers."""
        want = self.good + n
        wait_for(lambda: self.good >= want or self.bad, "%d more answers" % n)

    def one(self, c, last=False):
        began = time.monotonic()
        r = c.ask(self.method, self.target, headers=[("Connection", "close")] if last else [], body=b"b" if self.method == "POST" else None)
        if not self.check(r):
            raise AssertionError("answer %r" % r)
        with self.lock:
            self.good += 1
            self.longest = max(self.longest, time.monotonic() - began)
        return r

    def kept(self):
        while not self.stop.is_set():
            try:
                with Client(self.port) as c:
                    while not self.stop.is_set():
                        if self.one(c).closes:
                            self.closed += 1
                            break
            except Exception as e:
                self.bad.append("kept: %r" % e)
                time.sleep(0.01)

    def fresh(self):
        while not self.stop.is_set():
            try:
                with Client(self.port) as c:
                    self.one(c, True)
            except Exception as e:
                self.bad.append("fresh: %r" % e)
                time.sleep(0.01)
