"""A pytest plugin that writes what pytest says of each test to $VECTOR, one JSON line each.

It is all that the plain runs have of ours. Only the first process writes; the file is opened anew
for each line, so that a candidate that closes every descriptor is still heard of.
"""

import json
import os
import time

_own, _file = os.getpid(), os.environ.get("VECTOR", "")


def _say(*fields):
    if _file and os.getpid() == _own:
        handle = os.open(_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(handle, (json.dumps(fields) + "\n").encode())
        os.close(handle)


def pytest_runtest_logstart(nodeid):
    _say("start", nodeid)


def pytest_runtest_logreport(report):
    _say(report.when, report.nodeid, report.outcome, hasattr(report, "wasxfail"))


def pytest_collectreport(report):
    if report.failed:
        _say("collect", report.nodeid)


def pytest_sessionfinish(exitstatus):
    _say("finish", int(exitstatus), time.time())
