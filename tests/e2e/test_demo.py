"""scripts/demo --once: what a stranger sees first, and that nothing of it stays behind."""
import glob
import os
import re
import signal
import socket
import subprocess
import time

from harness import DEADLINE, POSTERN, ROOT, alive, children, wait_for

DEMO = os.path.join(ROOT, "scripts", "demo")


def environment(tmp_path):
    e = {k: v for k, v in os.environ.items() if k not in ("NOTIFY_SOCKET", "JOURNAL_STREAM")}
    e.update(POSTERN=POSTERN, TMPDIR=str(tmp_path), NO_COLOR="1")
    e.setdefault("ASAN_OPTIONS", "detect_leaks=0")
    return e


def test_once(tmp_path):
    p = subprocess.run([DEMO, "--once"], env=environment(tmp_path), stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=DEADLINE * 8, stdin=subprocess.DEVNULL)
    out = p.stdout.decode()
    assert p.returncode == 0, out
    for status in ("HTTP/1.1 200 ", "HTTP/1.1 413 ", "HTTP/1.1 431 "):
        assert status in out, out
    assert '"origin": "it arrived"' in out and '"path": "/v2/orders/7"' in out
    assert "everything was as expected" in out and "NOT AS EXPECTED" not in out
    assert not glob.glob(str(tmp_path / "*")), "something was left behind"


def test_taken_ports(tmp_path):
    """The usual ports are in use: others are taken."""
    taken = []
    for port in 8080, 9000:
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
            s.listen()
        except OSError:
            pass                        # somebody else has it: as well
        taken.append(s)
    try:
        p = subprocess.run([DEMO, "--once"], env=environment(tmp_path), stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=DEADLINE * 8, stdin=subprocess.DEVNULL)
    finally:
        for s in taken:
            s.close()
    out = p.stdout.decode()
    assert p.returncode == 0, out
    assert "http://127.0.0.1:8080/" not in out and "127.0.0.1:9000" not in out


def test_stays_until_interrupted(tmp_path):
    log = open(tmp_path / "out", "w+b")
    os.mkdir(tmp_path / "tmp")
    p = subprocess.Popen([DEMO], env=environment(tmp_path / "tmp"), stdout=log, stderr=subprocess.STDOUT,
                         stdin=subprocess.DEVNULL, start_new_session=True)

    def said():
        log.seek(0)
        return log.read().decode()
    try:
        wait_for(lambda: "until Ctrl-C" in said() or p.poll() is not None, "the demo is ready", DEADLINE * 8)
        time.sleep(0.3)
        assert p.poll() is None, said()
        url = re.search(r"curl -i (http://\S+)/anything", said()).group(1)
        got = subprocess.run(["curl", "-sS", url + "/anything"], stdout=subprocess.PIPE, timeout=30).stdout
        assert b"it arrived" in got
        pids = children(p.pid)
        assert len(pids) >= 2, "gateway and origin"
        os.killpg(p.pid, signal.SIGINT)         # Ctrl-C reaches all of them
        assert p.wait(timeout=DEADLINE * 2) == 130
        wait_for(lambda: not any(alive(q) for q in pids), "gateway and origin are gone")
        assert not glob.glob(str(tmp_path / "tmp" / "*"))
    finally:
        if p.poll() is None:
            os.killpg(p.pid, signal.SIGKILL)
        log.close()
