"""Requests that kill workers: the gateway goes on, says which one it was, and refuses the third of its kind.

The crash is real: a library that the test compiles and preloads makes strchr() (of the request-id policy) and
pcre2_match() (of a route's regex) write to address 0 when they see a word that only these tests send."""
import os
import re
import shutil
import subprocess

import pytest

from harness import SANITIZED, Truncated, assert_problem, config, wait_for

pytestmark = [pytest.mark.skipif(SANITIZED, reason="sanitizers handle these signals"),
              pytest.mark.skipif(not shutil.which("cc"), reason="no compiler")]

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
fall(void)
{
	if (access(getenv("SHIM_ARMED"), F_OK) == 0)
		%s;
}

/* The policy asks whether this byte may stand in an id: "=" is only in ours. */
char *
strchr(const char *s, int c)
{
	if (c == '=' && s[0] == '-' && s[1] == '.' && s[2] == '_')
		fall();
	for (;; s++) {
		if (*s == (char)c)
			return (char *)s;
		if (!*s)
			return NULL;
	}
}

int
pcre2_match_8(const void *code, const char *subject, size_t len, size_t at, unsigned options, void *data, void *context)
{
	static int (*real)(const void *, const char *, size_t, size_t, unsigned, void *, void *);

	if (!real)
		real = dlsym(RTLD_NEXT, "pcre2_match_8");
	if (memmem(subject, len, "killer", 6))
		fall();
	return real(code, subject, len, at, options, data, context);
}
"""

# What ends the worker, and what the master says of it.
WAYS = {"segv": "*(volatile int *)0 = 0", "abort": "abort()", "fpe": "__builtin_trap()"}


def shim(tmp, how):
    src, lib = os.path.join(tmp, "shim.c"), os.path.join(tmp, "shim.so")
    with open(src, "w") as f:
        f.write(SHIM % WAYS[how])
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-fno-builtin", "-o", lib, src, "-ldl"], check=True)
    return lib


ROUTES = ('{ name = "item"; match = "GET ~ ^/item/[a-z]+$"; to = "origin"; },'
          '{ name = "rest"; match = "* /*"; to = "origin"; policies = [ "rid" ]; }')
POLICIES = 'rid: { type = "request-id"; accept = "always"; };'


class Killer:
    def __init__(self, g, armed):
        self.g, self.armed = g, armed
        self.g.stable = False
        open(armed, "w").close()

    def disarm(self):
        os.unlink(self.armed)

    def kills(self, target="/", headers=(("X-Request-Id", "a=b"),), **kw):
        """The request ends its worker; another one serves in its place."""
        old = self.g.workers()[0]
        with pytest.raises((Truncated, ConnectionError)):
            self.g.get(target, headers=headers, **kw)
        self.g.wait_respawn("worker", old)


@pytest.fixture
def killer(gateway, origin, tmp_path):
    def make(how="segv", **kw):
        armed = str(tmp_path / "armed")
        o = origin()
        conf = dict(routes=ROUTES, policies=POLICIES, workers=1)
        conf.update(kw)
        g = gateway(config(o, **conf), env={"LD_PRELOAD": shim(str(tmp_path), how), "SHIM_ARMED": armed})
        return Killer(g, armed)
    return make


@pytest.mark.parametrize("how", sorted(WAYS))
def test_the_third_is_refused(killer, how):
    k = killer(how)
    g = k.g
    k.kills("/a", headers=[("X-Request-Id", "a=b"), ("X-Own", "1")])
    # What it was doing is said, and that once more will be enough.
    assert g.wait_log(r"worker 0 \(pid \d+\) .* while it worked on request [0-9a-f]{32}")
    assert g.wait_log(r"signature ([0-9a-f]{16}), of route all/rest")
    assert "ALERT" not in g.log()
    k.kills("/a", headers=[("X-Request-Id", "c=d"), ("X-Own", "1"), ("Date", "now")])
    signature = re.search(r"signature ([0-9a-f]{16})", g.log()).group(1)
    assert g.wait_log(r"ALERT: .*%s.* of route all/rest.* refused with 503" % signature)
    # The third gets an answer, from a worker that lives.
    pids = g.workers()
    r = g.get("/a", headers=[("X-Request-Id", "e=f"), ("X-Own", "1"), ("X-Forwarded-For", "10.0.0.1")])
    assert_problem(r, 503, "poisoned")
    assert 0 < int(r.get("Retry-After")) <= 600
    # Whatever differs is served.
    assert g.get("/b", headers=[("X-Own", "1")]).status == 200
    assert g.get("/a", headers=[("X-Own", "2")]).status == 200
    assert g.workers() == pids
    # It can be asked why.
    story = g.cli("why", r.get("X-Request-Id"))
    assert "503 poisoned" in story and "all/rest" in story


def test_it_ends_after_a_while(killer):
    k = killer(gateway='poison = "2s";')
    g = k.g
    k.kills("/a")
    k.kills("/a")
    r = g.get("/a", headers=[("X-Request-Id", "a=b")])
    assert_problem(r, 503, "poisoned")
    assert int(r.get("Retry-After")) in (1, 2)
    k.disarm()
    wait_for(lambda: g.get("/a").status == 200, "the end of the refusal")


def test_it_survives_a_reload(killer):
    k = killer()
    k.kills("/a")
    k.g.reload()
    k.kills("/a")
    k.g.reload()
    assert_problem(k.g.get("/a"), 503, "poisoned")


def test_off(killer):
    k = killer(gateway='poison = "0s";')
    for _ in range(3):
        k.kills("/a")
    k.disarm()
    assert k.g.get("/a", headers=[("X-Request-Id", "a=b")]).status == 200
    assert "ALERT" not in k.g.log()


def test_before_there_is_a_route(killer):
    """A crash while routes are looked at has no route; the next of its kind is refused all the same."""
    k = killer()
    k.kills("/item/killer", headers=())
    k.kills("/item/killer", headers=())
    assert_problem(k.g.get("/item/killer"), 503, "poisoned")
    assert k.g.get("/item/other").status == 200


def test_every_worker_refuses(killer):
    k = killer(workers=3)
    g = k.g
    before = set(g.workers())
    for _ in range(2):
        with pytest.raises((Truncated, ConnectionError)):
            g.get("/a", headers=[("X-Request-Id", "a=b")])
    wait_for(lambda: len(set(g.workers()) - before) in (1, 2) and len(g.workers()) == 3, "new workers")
    g.wait_log("ALERT")
    for _ in range(12):
        assert_problem(g.get("/a", headers=[("X-Request-Id", "a=b")]), 503, "poisoned")
