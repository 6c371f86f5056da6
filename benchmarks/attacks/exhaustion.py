"""Attacks that take more than their share. What is taken is looked at from outside while they run;
that they end in time, and that the next candidate is served, is looked at after every attack."""

from benchmarks.attacks.attack import Attack, Check, Deed, nothing
from benchmarks.attacks.world import World
from p2assist.experience import TestReport

# A run may have 400 processes, and 300 more that the kernel's numbering leaves it at first.
MOST_PROCESSES, MOST_MB, MOST_HELD_MB = 900, 2200, 900


def _peak(name: str, most: int) -> Check:
    def check(world: World, report: TestReport) -> str:
        got = world.peak(name)
        return f"{got} {name}" if got > most else ""

    return check


def _lie(name: str, value: int) -> Deed:
    """The control: what the meter would show."""
    return lambda world: world.note(name, value)


PROCESSES = _peak("processes", MOST_PROCESSES), _lie("processes", MOST_PROCESSES + 1)
MEMORY = _peak("MB in processes", MOST_MB), _lie("MB in processes", MOST_MB + 1)
HELD = _peak("MB held elsewhere", MOST_HELD_MB), _lie("MB held elsewhere", MOST_HELD_MB + 1)
OWN = _peak("MB in p2assist", 300), _lie("MB in p2assist", 301)


def _attack(name: str, how: tuple[Check, Deed], code: str) -> Attack:
    return Attack(name=name, group="exhaustion", code=code, check=how[0], deed=how[1])


ATTACKS = (
    _attack(
        "a fork bomb",
        PROCESSES,
        """
import os, time
while True:
    try:
        if os.fork() == 0:
            time.sleep(0.01)
    except OSError:
        time.sleep(0.1)
""",
    ),
    _attack(
        "processes that only sleep",
        PROCESSES,
        """
import os, time
for _ in range(2000):
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
time.sleep(60)
""",
    ),
    _attack(
        "threads",
        PROCESSES,
        """
import threading, time
threading.stack_size(65536)
for _ in range(3000):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
time.sleep(60)
""",
    ),
    _attack("memory", MEMORY, 'kept = []\nwhile True:\n    kept.append(b"x" * (32 << 20))'),
    _attack(
        "memory of many processes",
        MEMORY,
        """
import os, time
for _ in range(14):
    if os.fork() == 0:
        kept = [b"x" * (1 << 20) for _ in range(300)]
        time.sleep(60)
        os._exit(0)
time.sleep(4)
""",
    ),
    _attack(
        "files in memory",
        HELD,
        """
import os, time
kept = []
for _ in range(60):
    handle = os.memfd_create("x")
    kept.append(handle)
    for _ in range(60):
        os.write(handle, b"x" * (1 << 20))
time.sleep(1)
""",
    ),
    _attack(
        "shared memory that nobody is charged for",
        HELD,
        """
import ctypes, time
libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
libc.shmdt.argtypes = [ctypes.c_void_p]
for number in range(24):
    place = libc.shmat(libc.shmget(0, 64 << 20, 0o600), None, 0)
    if place in (None, 2**64 - 1):
        break
    ctypes.memset(place, 1, 64 << 20)
    libc.shmdt(place)
time.sleep(1)
""",
    ),
    _attack(
        "the disk",
        HELD,
        """
import itertools
for folder in ("$root", "/tmp", "/var/tmp", "/dev/shm"):
    try:
        for number in range(16):
            with open(f"{folder}/big{number}", "wb") as file:
                for _ in range(60):
                    file.write(b"x" * (1 << 20))
    except OSError:
        pass
""",
    ),
    _attack(
        "very many files",
        HELD,
        """
import os
for folder in ("$root/many", "/tmp/many"):
    try:
        os.makedirs(folder)
        for number in range(300_000):
            os.mknod(f"{folder}/{number}")
    except OSError:
        pass
""",
    ),
    _attack(
        "buffers of sockets and pipes",
        HELD,
        """
import os, socket
kept = []
try:
    while True:
        pair = socket.socketpair()
        pair[0].setblocking(False)
        pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 24)
        kept.append(pair)
        try:
            while True:
                pair[0].send(b"x" * 65536)
        except BlockingIOError:
            pass
except OSError:
    pass
""",
    ),
    _attack(
        "descriptors",
        PROCESSES,
        "import os\nkept = [os.dup(0) for _ in range(100_000)]",
    ),
    _attack(
        "output without end",
        OWN,
        """
import os, sys
sys.stdout.write("3 passed\\n" * 100_000)
for number in (1, 2):
    for _ in range(4000):
        os.write(number, b"\\x00\\xff" * 32768)
""",
    ),
    _attack("a message without end", OWN, 'raise RuntimeError("x" * (200 << 20))'),
    _attack(
        "a message that takes for ever",
        OWN,
        """
class Slow(Exception):
    def __str__(self):
        while True:
            pass
raise Slow()
""",
    ),
    _attack(
        "exceptions within exceptions",
        OWN,
        """
error = None
for number in range(50_000):
    new = ValueError(number)
    new.__cause__ = error
    error = new
raise error
""",
    ),
    _attack(
        "a flood of reports",
        OWN,
        """
import os, stat
for number in range(3, 64):
    try:
        if stat.S_ISSOCK(os.fstat(number).st_mode) or stat.S_ISFIFO(os.fstat(number).st_mode):
            for _ in range(20_000):
                os.write(number, b"x" * 30_000)
    except OSError:
        pass
""",
    ),
    Attack(name="a loop", group="exhaustion", code="while True:\n    pass", check=nothing),
    Attack(
        name="a loop that swallows everything",
        group="exhaustion",
        code="""
import signal, time
for number in range(1, 32):
    try:
        signal.signal(number, lambda *a: None)
    except (OSError, ValueError):
        pass
while True:
    try:
        time.sleep(9)
    except BaseException:
        pass
""",
        check=nothing,
    ),
    Attack(
        name="a wait that cannot be interrupted",
        group="exhaustion",
        code="""
import ctypes, os
libc = ctypes.CDLL(None)
if libc.vfork() == 0:
    libc.pause()
""",
        check=nothing,
    ),
    Attack(
        name="a computation within one call",
        group="exhaustion",
        code="number = 9 ** 9 ** 9",
        check=nothing,
    ),
    Attack(
        name="a search that never ends",
        group="exhaustion",
        code='import re\nre.match(r"(a+)+$", "a" * 60 + "b")',
        check=nothing,
    ),
    Attack(
        name="recursion in C",
        group="exhaustion",
        code="""
import sys
sys.setrecursionlimit(10**9)
def down():
    return down()
down()
""",
        check=nothing,
    ),
    Attack(
        name="waiting for input",
        group="exhaustion",
        code="import os, sys\nos.read(0, 1)\nsys.stdin.read()\ninput()",
        check=nothing,
    ),
)
