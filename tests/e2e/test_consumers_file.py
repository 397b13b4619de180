"""gateway.consumers_file: what is wrong in it keeps the old revision serving and is said with its place, and a key that
stands there by mistake is never repeated."""

import hashlib

from harness import config, run, wait_for


def digest(key):
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def keyed(gateway, origin, lines):
    g = gateway(config(origin(), head='plans: { gold: { rate = "1000/s"; }; none: { rate = "1/h"; }; };\n'
                       'consumers: { acme: { plan = "gold"; keys = [ "%s" ]; }; };' % digest("one"),
                       gateway='consumers_file = "keys.txt";',
                       service='policies = ( { type = "api-key"; }, { type = "rate-limit"; rate = "plan"; } );'), start=False)
    g.write("\n".join(lines) + "\n", "keys.txt")
    return g


def status(g, key):
    return g.get("/x", headers=[("x-api-key", key)]).status


def test_keys_of_both_add_up(gateway, origin):
    g = keyed(gateway, origin, ["acme " + digest("two"), "poor " + digest("three") + " none  # once an hour"])
    g.start()
    for key in ("one", "two", "one"):
        assert status(g, key) == 200
    assert [status(g, "three") for _ in range(3)] == [200, 429, 429]


def test_a_slip_keeps_what_is_in_force(gateway, origin):
    g = keyed(gateway, origin, ["acme " + digest("two")])
    g.start()
    g.write("# new\nacme %s\nother the-very-key\npoor %s glod\n" % (digest("four"), digest("five")), "keys.txt")
    assert "refused" in g.reload() or "refused" in g.log()
    wait_for(lambda: "keys.txt:3:7: error:" in g.log(), "the finding in the log")
    assert 'keys.txt:4:78: error: no plan "glod"; did you mean "gold"? [E204]' in g.log()
    assert "the-very-key" not in g.log()
    assert status(g, "two") == 200
    assert status(g, "four") in (401, 503)


def test_one_key_has_one_owner(gateway, origin):
    g = keyed(gateway, origin, ["thief " + digest("one")])
    code, out, err = run("check", "-c", g.conf)
    assert code == 1
    assert 'keys.txt:1:7: error: consumer "thief" has a key of "acme"; a key has one owner [E231]' in out + err
    assert "postern.conf:" in out + err and "it is first given here" in out + err
