"""What systemd is told: READY, RELOADING, STOPPING, STATUS, WATCHDOG (sd_notify(3))."""
import os
import signal
import time

from harness import Origin, config, wait_for


def test_ready(gateway, origin):
    g = gateway(config(origin(), workers=2))
    first = [i for i, (m, _) in enumerate(g.notify.pump()) if m.get("READY") == "1"]
    assert len(first) == 1
    assert g.get("/").status == 200
    status = wait_for(g.notify.status, "a STATUS")
    assert "serving revision 1" in status and "2 workers" in status and "127.0.0.1:%d" % g.port in status


def test_ready_means_ready(gateway, origin):
    """At the moment of READY=1 connections are taken."""
    o = origin()
    for _ in range(5):
        g = gateway(config(o, workers=2))
        for _ in range(5):
            assert g.get("/").status == 200


def test_reload(gateway, origin):
    g = gateway(config(origin()))
    before = len(g.notify.pump())
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    g.reload()
    got = [m for m, _ in g.notify.pump()[before:]]
    i = [n for n, m in enumerate(got) if m.get("RELOADING") == "1"]
    j = [n for n, m in enumerate(got) if m.get("READY") == "1"]
    assert len(i) == 1 and len(j) == 1 and i[0] < j[0]
    assert now <= int(got[i[0]]["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert "serving revision 2" in g.notify.status()


def test_failed_reload_is_in_status(gateway, origin):
    g = gateway(config(origin()))
    status = g.reload("listeners: { main: { bind = [ \"127.0.0.1:@PORT@\" ]; }; };  nonsense = 1;")
    assert "serving revision 1" in status and "revision 2 REJECTED" in status and "error" in status


def test_stopping(gateway, origin):
    g = gateway(config(origin()))
    assert g.stop(signal.SIGTERM) == 0
    g.expect_exit = True
    assert g.notify.count("STOPPING", "1") == 1


def test_watchdog(gateway, origin):
    """WATCHDOG=1 comes while all workers turn, and no more when one hangs."""
    g = gateway(config(origin(), workers=2), env={"WATCHDOG_USEC": "1000000"})
    wait_for(lambda: g.notify.count("WATCHDOG", "1") >= 3, "three WATCHDOG=1", timeout=20)
    victim = g.workers()[1]
    os.kill(victim, signal.SIGSTOP)
    try:
        def quiet():
            n = g.notify.count("WATCHDOG", "1")
            time.sleep(1.6)
            return g.notify.count("WATCHDOG", "1") == n
        wait_for(quiet, "silence", timeout=30)
        wait_for(lambda: "worker 1 HANGS" in g.notify.status(), "worker 1 HANGS in STATUS")
    finally:
        os.kill(victim, signal.SIGCONT)
    n = g.notify.count("WATCHDOG", "1")
    wait_for(lambda: g.notify.count("WATCHDOG", "1") > n, "WATCHDOG=1 again", timeout=20)


def test_watchdog_for_another_process(gateway, origin):
    """WATCHDOG_PID of someone else: not for us."""
    g = gateway(config(origin()), env={"WATCHDOG_USEC": "200000", "WATCHDOG_PID": "1"})
    time.sleep(1)
    assert g.notify.count("WATCHDOG") == 0


def test_children_do_not_speak(gateway, origin):
    """Whatever comes, comes from the master alone (systemd looks at the sender: NotifyAccess=main)."""
    g = gateway(config(origin(), workers=2))
    g.reload()
    assert g.notify.pids == {g.master}


def test_no_socket_no_harm(gateway, origin):
    """A NOTIFY_SOCKET that is not there is nobody's business."""
    o = origin()
    g = gateway(config(o), start=False)
    g.start(wait=False)
    os.unlink(g.notify.path)

    def answers():
        try:
            return g.get("/").status == 200
        except OSError:
            return False
    wait_for(answers, "an answer")
    g.pids = g.children()
