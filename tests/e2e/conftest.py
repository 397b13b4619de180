"""Fixtures: everything that a test starts is stopped with it, and speaks when the test failed."""
import os
import resource
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import harness  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than a few seconds (part of the default run)")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if not os.path.exists(harness.POSTERN):
        raise pytest.UsageError("there is no %s: build it, or set POSTERN" % harness.POSTERN)


def pytest_collection_modifyitems(items):
    # The longest first, so that two workers end together.
    items.sort(key=lambda i: i.get_closest_marker("slow") is None)
    if os.environ.get("PYTEST_XDIST_WORKER"):
        # Of one module's shared gateway there should be few.
        items.sort(key=lambda i: (i.get_closest_marker("slow") is None, i.fspath))


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "report_" + call.when, outcome.get_result())


def _failed(node):
    report = getattr(node, "report_call", None)
    return report is not None and report.failed


def _end(things, failed):
    errors = []
    for t in reversed(things):
        if isinstance(t, harness.Origin):
            t.close()
            errors += ["origin: %r" % e for e in t.errors]
        elif isinstance(t, harness.Wire):
            t.close()
    for t in reversed(things):
        if isinstance(t, harness.Gateway):
            try:
                t.finish(failed)
            except AssertionError as e:
                errors.append(str(e))
    assert not errors, "; ".join(errors)


@pytest.fixture
def origin(request):
    """origin(answer or script=…): starts an Origin."""
    things = []

    def make(*args, **kw):
        o = harness.Origin(*args, **kw)
        things.append(o)
        return o
    yield make
    _end(things, _failed(request.node))


@pytest.fixture
def gateway(request, origin):
    """gateway(conf, …): starts a Gateway."""
    things = []

    def make(*args, **kw):
        start = kw.pop("start", True)
        g = harness.Gateway(*args, start=False, **kw)
        things.append(g)
        if start:
            g.start(kw.get("wait", True))
        return g
    yield make
    _end(things, _failed(request.node))


@pytest.fixture(scope="module")
def shared(request):
    """shared(thing): as above for what a whole module uses."""
    things = []

    def keep(thing):
        things.append(thing)
        return thing
    yield keep
    failed = any(_failed(i) for i in request.session.items if i.fspath == request.node.fspath)
    _end(things, failed)
