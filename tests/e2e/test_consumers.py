"""Consumers, keys, plans and quotas through the admin plane, and what workers make of it within a second."""
import hashlib
import json
import os
import re
import time

import pytest

from harness import SCALE, config, wait_for

FILE_KEY = "key-of-a-file-consumer"
HEAD = """
plans: { gold: { rate = "1000/s"; burst = 2000; quota = [ "1000/day", "5000/month" ]; }; };
consumers: { filed: { plan = "gold"; keys = [ "sha256:%s" ]; }; };
""" % hashlib.sha256(FILE_KEY.encode()).hexdigest()


def make_config(workers=2, policies='"who"', more=""):
    return config(workers=workers, head=HEAD, service="policies = [ %s ];" % policies,
                  policies='who: { type = "api-key"; header = "x-api-key"; }; by-quota: { type = "quota"; quota = "plan"; };'
                           'own: { type = "quota"; quota = "3/day"; }; rate: { type = "rate-limit"; rate = "plan"; };' + more,
                  routes='{ name = "r"; match = "* /*"; respond = 200; }')


@pytest.fixture
def gw(gateway):
    g = gateway(make_config())
    ready(g)
    return g


def ready(g):
    g.wait_admin()
    # Until the keeper has opened the store, nobody can say whose an unknown key is.
    wait_for(lambda: g.get("/", headers=[("x-api-key", "nobody")]).status == 401, "the store to be open")


def status(g, key):
    return g.get("/", headers=[("x-api-key", key)]).status


def every_worker(g, key, wanted, seconds=1.0):
    """Within a second no worker says anything else: 40 connections are spread over all of them."""
    end = time.monotonic() + seconds * SCALE
    while True:
        got = {status(g, key) for _ in range(40)}
        if got == {wanted}:
            return
        assert time.monotonic() < end, got


def new_key(g, name, **body):
    r = g.admin("POST", "/v1/consumers/%s/keys" % name, body)
    assert r.status == 201, r
    return r.json()


def add(g, name="acme", **body):
    r = g.admin("POST", "/v1/consumers", dict(body, name=name))
    assert r.status == 201, r
    return r.json()


# ---- keys

def test_a_key_is_shown_once(gw):
    add(gw, plan="gold", note="the first")
    k = new_key(gw, "acme", note="of ci")
    assert re.fullmatch(r"pk_[0-9A-Za-z]{43}", k["key"])
    digest = hashlib.sha256(k["key"].encode()).hexdigest()
    assert k["id"] == digest[:12] and k["state"] == "live" and k["note"] == "of ci" and k["expires"] is None
    every_worker(gw, k["key"], 200)
    assert status(gw, k["key"] + "x") == 401
    shown = json.dumps([gw.admin("GET", p).json() for p in ("/v1/consumers", "/v1/consumers/acme", "/v1/consumers/acme/keys",
                                                           "/v1/audit", "/v1/status")]) + gw.log()
    assert k["id"] in shown
    assert k["key"] not in shown and digest not in shown
    for base, _, files in os.walk(gw.path("state")):
        for name in files:
            with open(os.path.join(base, name), "rb") as f:
                assert k["key"].encode() not in f.read(), name


def test_keys_differ(gw):
    add(gw)
    keys = {new_key(gw, "acme")["key"] for _ in range(16)}
    assert len(keys) == 16
    r = gw.admin("POST", "/v1/consumers/acme/keys", {})
    assert r.status == 409 and "revoke one first" in r.json()["detail"]
    ids = [k["id"] for k in gw.admin("GET", "/v1/consumers/acme").json()["keys"]]
    assert len(ids) == 16
    assert gw.admin("DELETE", "/v1/consumers/acme/keys/" + ids[3]).status == 204
    new_key(gw, "acme")                 # the revoked one gave way
    now = [k["id"] for k in gw.admin("GET", "/v1/consumers/acme").json()["keys"]]
    assert len(now) == 16 and ids[3] not in now


def test_revoked(gw):
    add(gw)
    a, b = new_key(gw, "acme"), new_key(gw, "acme")
    every_worker(gw, a["key"], 200)
    assert gw.admin("DELETE", "/v1/consumers/acme/keys/" + a["id"]).status == 204
    every_worker(gw, a["key"], 401)
    every_worker(gw, b["key"], 200)
    assert gw.admin("DELETE", "/v1/consumers/acme/keys/" + a["id"]).status == 204       # again: as it is
    assert gw.admin("DELETE", "/v1/consumers/acme/keys/000000000000").status == 404
    states = {k["id"]: k["state"] for k in gw.admin("GET", "/v1/consumers/acme/keys").json()["keys"]}
    assert states == {a["id"]: "revoked", b["id"]: "live"}


def test_rotate(gw):
    add(gw)
    old = new_key(gw, "acme")
    r = gw.admin("POST", "/v1/consumers/acme/rotate", {"grace": "3s"})
    assert r.status == 201, r
    new = r.json()
    assert new["before"][0]["id"] == old["id"] and new["before"][0]["expires"]
    every_worker(gw, new["key"], 200)
    assert status(gw, old["key"]) == 200                    # both live
    wait_for(lambda: status(gw, old["key"]) == 401, "the end of the grace time", 10 * SCALE)
    every_worker(gw, new["key"], 200)
    # One that was to end sooner still does, and a second rotation prolongs nothing.
    first = gw.admin("POST", "/v1/consumers/acme/rotate", {"grace": "1h"}).json()["before"][0]["expires"]
    again = gw.admin("POST", "/v1/consumers/acme/rotate", {"grace": "48h"}).json()["before"]
    assert first in [k["expires"] for k in again]
    r = gw.admin("POST", "/v1/consumers/acme/rotate", {"grace": "0s"})
    every_worker(gw, r.json()["key"], 200)
    every_worker(gw, new["key"], 401)


def test_expiry(gw):
    add(gw)
    k = new_key(gw, "acme", expires="2s")
    assert status(gw, k["key"]) == 200
    wait_for(lambda: status(gw, k["key"]) == 401, "the key to expire", 8 * SCALE)
    for bad in ("2001-01-01", "yesterday", "2030-02-30", "0s", 7):
        assert gw.admin("POST", "/v1/consumers/acme/keys", {"expires": bad}).status == 400, bad
    assert new_key(gw, "acme", expires="2040-01-31")["expires"] == "2040-01-31T00:00:00Z"
    assert new_key(gw, "acme", expires="2040-01-31T10:20Z")["expires"] == "2040-01-31T10:20:00Z"


# ---- consumers

def test_suspended(gw):
    add(gw)
    k = new_key(gw, "acme")
    every_worker(gw, k["key"], 200)
    assert gw.admin("PATCH", "/v1/consumers/acme", {"suspended": True}).json()["keys"][0]["state"] == "suspended"
    every_worker(gw, k["key"], 403)
    late = new_key(gw, "acme")
    assert late["state"] == "suspended"
    every_worker(gw, late["key"], 403)
    gw.admin("PATCH", "/v1/consumers/acme", {"suspended": False})
    every_worker(gw, k["key"], 200)
    every_worker(gw, late["key"], 200)


def test_a_consumer_of_a_file_is_suspended(gw):
    every_worker(gw, FILE_KEY, 200)
    assert gw.admin("PATCH", "/v1/consumers/filed", {"suspended": True}).status == 200
    every_worker(gw, FILE_KEY, 403)
    gw.reload()
    gw.kill_keeper()
    gw.kill_worker(0)
    gw.wait_admin()
    every_worker(gw, FILE_KEY, 403)
    # In another region too (the machine was started anew): the store remembers.
    gw.stop()
    os.unlink(gw.path("run", "region"))
    gw.start()
    ready(gw)
    wait_for(lambda: status(gw, FILE_KEY) == 403, "the suspension", 5 * SCALE)
    shown = gw.admin("GET", "/v1/consumers/filed").json()
    assert shown["suspended"] and shown["source"] == "file" and shown["keys"][0]["state"] == "suspended"
    assert gw.admin("PATCH", "/v1/consumers/filed", {"suspended": False}).json()["suspended"] is False
    every_worker(gw, FILE_KEY, 200)
    assert gw.metrics().value("postern_consumers_suspended_of_files") == 0


def test_a_consumer_of_a_file_is_changed_there(gw):
    for method, path, body in (("PATCH", "/v1/consumers/filed", {"plan": "gold"}), ("DELETE", "/v1/consumers/filed", None),
                               ("PATCH", "/v1/consumers/filed", {"plan": None, "suspended": True}),
                               ("POST", "/v1/consumers/filed/keys", {}), ("POST", "/v1/consumers/filed/rotate", {}),
                               ("POST", "/v1/consumers", {"name": "filed"}), ("PUT", "/v1/plans/gold", {"rate": "1/s"}),
                               ("POST", "/v1/plans", {"name": "gold"}), ("DELETE", "/v1/plans/gold", None)):
        r = gw.admin(method, path, body)
        assert r.status == 409, (method, path, r)
        assert re.search(r"(filed|gold) is defined in postern\.conf:\d+: change it there and reload", r.json()["detail"]), r
    every_worker(gw, FILE_KEY, 200)


def test_a_key_changes_hands_with_every_reload(gateway):
    """What a worker remembers of a key is of one configuration, also when another comes to lie where that was."""
    def conf(owner):
        names = {"key": "ada", "other": "bob"} if owner == "ada" else {"key": "bob", "other": "ada"}
        people = "".join("%s: { keys = [ \"sha256:%s\" ]; }; " % (name, hashlib.sha256(key.encode()).hexdigest())
                         for key, name in names.items())
        return config(workers=1, head="consumers: { %s};" % people, service='policies = [ "who", "tell" ];',
                      policies='who: { type = "api-key"; header = "x-api-key"; };'
                               'tell: { type = "headers"; response: { set: { X-Consumer = "{consumer}"; }; }; };',
                      routes='{ name = "r"; match = "* /*"; respond = 200; }')
    g = gateway(conf("ada"))
    for turn in range(24):
        owner = "bob" if turn % 2 else "ada"
        if turn:
            g.reload(conf(owner))
        wait_for(lambda: g.get("/", headers=[("x-api-key", "key")]).get("x-consumer") == owner, "turn %d" % turn, 5 * SCALE)
        # A connection of the new configuration, again and again: nobody else, not once.
        for _ in range(5):
            assert g.get("/", headers=[("x-api-key", "key")]).get("x-consumer") == owner, turn


def test_removed(gw):
    add(gw)
    k = new_key(gw, "acme")
    every_worker(gw, k["key"], 200)
    assert gw.admin("DELETE", "/v1/consumers/acme").status == 204
    every_worker(gw, k["key"], 401)
    assert gw.admin("DELETE", "/v1/consumers/acme").status == 404
    # Its usage stays.
    assert gw.admin("GET", "/v1/usage?consumer=acme").json()["total"]["requests"] >= 40
    add(gw)
    assert status(gw, k["key"]) == 401


def test_it_is_all_there_after_a_restart(gw):
    add(gw, plan="gold", note="ä \u2603")
    k = new_key(gw, "acme")
    gw.admin("PUT", "/v1/plans/mine", {"rate": "5/s", "zone": "Europe/Berlin", "quota": "7/day"})
    gw.kill_keeper()
    gw.wait_admin()
    assert gw.admin("GET", "/v1/consumers/acme").json()["note"] == "ä \u2603"
    gw.stop()
    gw.start()
    ready(gw)
    every_worker(gw, k["key"], 200)
    got = gw.admin("GET", "/v1/plans/mine").json()
    assert (got["rate"], got["zone"], got["quota"]) == ("5/s", "Europe/Berlin", "7/day")


def test_list_page_by_page(gw):
    names = ["c%03d" % i for i in range(25)] + ["zz", "aa"]
    for n in names:
        add(gw, n)
    got, after = [], ""
    while True:
        page = gw.admin("GET", "/v1/consumers?limit=7&after=" + after).json()
        assert len(page["consumers"]) <= 7 and page["of_store"] == 27 and page["of_files"] == 1
        got += [c["name"] for c in page["consumers"]]
        after = page["next"]
        if after is None:
            break
    assert got == sorted(names + ["filed"])
    assert [c["name"] for c in gw.admin("GET", "/v1/consumers?after=c023").json()["consumers"]] == ["c024", "filed", "zz"]
    lines = gw.cli("consumer", "list").splitlines()
    assert len(lines) == 29 and lines[0].split()[:2] == ["NAME", "PLAN"]


def test_a_long_list_is_one_table(gateway):
    """The command line asks page by page; thousands of consumers of a file are sorted once."""
    g = gateway(config(gateway='consumers_file = "@DIR@/keys";', service='policies = ( { type = "api-key"; header = "x"; } );',
                       routes='{ name = "r"; match = "* /*"; respond = 204; }'), start=False)
    names = ["c%05d" % (i * 7919 % 5000) for i in range(5000)]
    with open(g.path("keys"), "w") as f:
        for n in names:
            f.write("%s sha256:%s\n" % (n, hashlib.sha256(n.encode()).hexdigest()))
    g.start()
    g.wait_admin()
    lines = g.cli("consumer", "list").splitlines()
    assert lines[0].startswith("NAME") and [s.split()[0] for s in lines[1:]] == sorted(names)


def test_names(gw):
    for good in ("a", "A.b_c@d-e", "x" * 63, "1"):
        add(gw, good)
        assert gw.admin("GET", "/v1/consumers/" + good.replace("@", "%40")).json()["name"] == good
    for bad in ("", "x" * 64, "a/b", "a b", "ä", "a\n", "..%2f"):
        assert gw.admin("POST", "/v1/consumers", {"name": bad}).status == 400, bad
    assert gw.admin("POST", "/v1/consumers", {"name": "a"}).status == 409
    for bad in ("a%2fb", "x" * 64, "%20"):
        assert gw.admin("GET", "/v1/consumers/" + bad).status == 400, bad


# ---- plans, quotas

def test_plans(gateway):
    g = gateway(make_config(policies='"who", "rate"'))
    ready(g)
    r = g.admin("POST", "/v1/plans", {"name": "slow", "rate": "2/min", "burst": 2})
    assert r.status == 201, r
    assert g.admin("POST", "/v1/plans", {"name": "slow"}).status == 409
    add(g, plan="slow")
    k = new_key(g, "acme")["key"]
    assert [status(g, k) for _ in range(3)] == [200, 200, 429]
    # A plan of the store that changes is what workers go by within a second.
    assert g.admin("PUT", "/v1/plans/slow", {"rate": "1000/s", "burst": 1000}).status == 200
    every_worker(g, k, 200)
    assert g.admin("DELETE", "/v1/plans/slow").status == 409
    assert g.admin("PATCH", "/v1/consumers/acme", {"plan": "gold"}).json()["plan"] == "gold"
    assert g.admin("DELETE", "/v1/plans/slow").status == 204
    assert g.admin("GET", "/v1/plans/slow").status == 404
    every_worker(g, k, 200)
    assert g.admin("PATCH", "/v1/consumers/acme", {"plan": None}).json()["plan"] is None
    for bad in ({"rate": "100"}, {"rate": "x/s"}, {"quota": "5/s"}, {"quota": "1/fortnight"}, {"zone": "Mars/Olympus", "quota": "1/day"},
                {"burst": 0}, {"burst": "7"}, {"rate": 7}, {"what": 1}, {"rate": "1/s 2/s 3/s 4/s 5/s"}):
        r = g.admin("PUT", "/v1/plans/bad", bad)
        assert r.status == 400 and r.json()["detail"], (bad, r)
    names = [(p["name"], p["source"]) for p in g.admin("GET", "/v1/plans").json()["plans"]]
    assert names == [("gold", "file")]


def test_quota(gateway):
    g = gateway(make_config(policies='"who", "by-quota", "own"'))
    ready(g)
    assert [status(g, FILE_KEY) for _ in range(5)] == [200, 200, 200, 429, 429]
    got = {(q["policy"], q["window"]): q for q in g.admin("GET", "/v1/quota/filed").json()["quotas"]}
    assert set(got) == {("by-quota", "day"), ("by-quota", "month"), ("own", "day")}
    own = got["own", "day"]
    assert (own["used"], own["limit"], own["left"]) == (3, 3, 0)
    assert own["ends"] == time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(time.time() // 86400 * 86400 + 86400))
    assert got["by-quota", "month"]["limit"] == 5000 and got["by-quota", "day"]["used"] >= 3
    assert g.admin("POST", "/v1/quota/filed/reset", {"policy": "nobody"}).status == 404
    was = g.admin("POST", "/v1/quota/filed/reset", {"policy": "own"}).json()["quotas"]
    assert was == [{"policy": "own", "window": "day", "was": 3}]
    assert [status(g, FILE_KEY) for _ in range(4)] == [200, 200, 200, 429]
    assert g.admin("GET", "/v1/quota/nobody").status == 404
    row = g.admin("GET", "/v1/audit").json()["audit"][0]
    assert row["what"] == "quota reset" and row["name"] == "filed" and row["before"]
    lines = g.cli("quota", "show", "filed").splitlines()
    assert lines[0].split() == ["POLICY", "WINDOW", "USED", "LIMIT", "LEFT", "ENDS"] and len(lines) == 4
    assert len(g.cli("quota", "reset", "filed", "-o", "json")["quotas"]) == 3
    assert {q["used"] for q in g.cli("quota", "show", "filed", "-o", "json")["quotas"]} == {0}


# ---- the command line

def test_cli(gw):
    assert "Next: postern key add acme" in gw.cli("consumer", "add", "acme", "--plan", "gold", "--note", "hello")
    code, out, err = gw.cli("key", "add", "acme", "--expires", "90d", status=None)
    key = out.strip()
    assert code == 0 and re.fullmatch(r"pk_\w{43}", key) and "shown this once" in err and key not in err
    every_worker(gw, key, 200)
    code, out, err = gw.cli("key", "rotate", "acme", "--grace", "1h", status=None)
    assert code == 0 and out.strip() != key and "are refused from 20" in err
    got = gw.cli("consumer", "show", "acme", "-o", "json")
    assert got["plan"] == "gold" and len(got["keys"]) == 2
    assert gw.cli("consumer", "set", "acme", "--plan", "", "-o", "json")["plan"] is None
    assert gw.cli("consumer", "suspend", "acme", "-o", "json")["suspended"] is True
    every_worker(gw, key, 403)
    gw.cli("consumer", "resume", "acme")
    gw.cli("key", "revoke", "acme", hashlib.sha256(key.encode()).hexdigest()[:12])
    every_worker(gw, key, 401)
    assert "live" in gw.cli("key", "list", "acme") and "revoked" in gw.cli("key", "list", "acme")
    gw.cli("plan", "set", "silver", "--rate", "10/s", "--quota", "1000/day", "--zone", "Europe/Berlin", "--burst", "20")
    assert gw.cli("plan", "show", "silver", "-o", "json")["burst"] == 20
    assert [p["name"] for p in gw.cli("plan", "list", "-o", "json")["plans"]] == ["gold", "silver"]
    gw.cli("plan", "remove", "silver")
    gw.cli("consumer", "remove", "acme")
    whats = [r["what"] for r in gw.cli("audit", "--name", "acme", "-o", "json")["audit"]]
    assert whats == ["consumer remove", "key revoke", "consumer resume", "consumer suspend", "consumer set", "key rotate",
                     "key add", "consumer add"]


@pytest.mark.parametrize("args, code, says", [
    (("consumer", "show", "nobody"), 1, "there is no consumer nobody"),
    (("consumer", "add", "filed"), 1, "change it there and reload"),
    (("consumer", "add", "x", "--plan", "none"), 1, "there is no plan none"),
    (("consumer", "add"), 2, "there is a word missing"),
    (("consumer", "add", "a", "b"), 2, "there is a word too many"),
    (("consumer", "ad"), 2, 'there is no "consumer ad"'),
    (("consumer",), 2, "usage: "),
    (("consumer", "set", "filed"), 2, "nothing to set"),
    (("consumer", "list", "-o", "csv"), 2, 'there is no output "csv" here'),
    (("key", "add", "nobody"), 1, "there is no consumer nobody"),
    (("key", "revoke", "filed", "1"), 1, "change it there and reload"),
    (("plan", "show", "none"), 1, "there is no plan none"),
    (("plan", "set", "x", "--rate", "fast"), 1, "a rate is a string with a count"),
    (("quota", "reset", "nobody"), 1, "there is no consumer nobody"),
    (("usage", "--by", "week"), 1, "by is minute, hour, day or month"),
    (("usage", "--from", "never"), 1, "from is a time in UTC"),
    (("usage", "--per", "moon"), 1, "kind is service, route, target or consumer"),
    (("probe",), 2, "usage: "),
])
def test_cli_says_what_next(shared_gw, args, code, says):
    got, out, err = shared_gw.cli(*args, status=None)
    assert got == code and says in err, (got, err)
    assert "Next: " in err or "postern %s" % args[0] in err
    assert out == ""


@pytest.fixture(scope="module")
def shared_gw(shared):
    from harness import Gateway
    g = shared(Gateway(make_config()))
    ready(g)
    return g
