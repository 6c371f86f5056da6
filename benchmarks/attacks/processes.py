"""Attacks on other processes and on the kernel."""

from benchmarks.attacks.attack import Attack, kills, nothing, says, survives, tells
from benchmarks.attacks.world import World

_SLEEPER = '[sys.executable, "-c", "import time; time.sleep(60)", "$token"]'


def _call(name: str, what: str, **more: object) -> Attack:
    """A system call of x86_64 that should not succeed: what leads to its result."""
    code = (
        "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        f'if ({what}) >= 0:\n    raise RuntimeError("REACHED")'
    )
    return Attack(name=name, group="kernel", code=code, check=says, **more)  # type: ignore[arg-type]


PROCESSES = (
    Attack(
        name="ending a process by its number",
        group="processes",
        code="import os\nos.kill($canary, 9)",
        check=kills,
        control_runs=True,
    ),
    Attack(
        name="ending every process",
        group="processes",
        code="import os\nos.kill(-1, 9)",
        check=kills,
        deed=lambda world: world.canary.kill(),
    ),
    Attack(
        name="ending its parents",
        group="processes",
        code="import os\nfor pid in {os.getppid(), 1, $pid}:\n    os.kill(pid, 9)",
        check=kills,
        deed=lambda world: world.canary.kill(),
    ),
    Attack(
        name="interrupting p2assist",
        group="processes",
        code="import os\nfor sig in (2, 15, 10, 12, 14):\n    os.kill($pid, sig)",
        check=kills,
        deed=lambda world: world.canary.kill(),
    ),
    Attack(
        name="ending its process group",
        group="processes",
        code="import os\nos.killpg(0, 9)",
        check=nothing,
    ),
    Attack(
        name="stopping itself",
        group="processes",
        code="import os\nos.kill(os.getpid(), 19)",
        check=nothing,
    ),
    Attack(
        name="stopping its parents",
        group="processes",
        code="import os, time\nos.kill(os.getppid(), 19)\nos.kill(1, 19)\ntime.sleep(1)",
        check=nothing,
    ),
    Attack(
        name="a signal by the terminal's or a file's owner",
        group="processes",
        code="""
import fcntl, os, signal
r, w = os.pipe()
fcntl.fcntl(r, 8, $canary)
fcntl.fcntl(r, 10, 9)
fcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
os.write(w, b"x")
import time
time.sleep(0.2)
""",
        check=kills,
        control_runs=True,
    ),
    Attack(
        name="a daemon",
        group="processes",
        code=f"""
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 512)
        os.execv(sys.executable, {_SLEEPER})
    os._exit(0)
os.wait()
""",
        check=survives,
        deed=World.leave_one,
    ),
    Attack(
        name="a child that ignores every signal",
        group="processes",
        code=f"""
import os, signal, sys
if os.fork() == 0:
    for number in range(1, 32):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    os.setsid()
    os.execv(sys.executable, {_SLEEPER})
""",
        check=survives,
        deed=World.leave_one,
    ),
    Attack(
        name="children in a stopped group of their own",
        group="processes",
        code=f"""
import os, sys, time
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        os.execv(sys.executable, {_SLEEPER})
    time.sleep(0.1)
    os.kill(pid, 19)
""",
        check=survives,
        deed=World.leave_one,
    ),
    Attack(
        name="a thread that never ends",
        group="processes",
        code="import threading, time\nthreading.Thread(target=time.sleep, args=(999,)).start()",
        check=nothing,
    ),
    Attack(
        name="memory of another process",
        group="processes",
        code="""
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
text = ctypes.create_string_buffer(64)
class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
here = Part(ctypes.addressof(text), 64)
there = Part($buffer, 64)
if libc.process_vm_readv($pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) > 0:
    raise RuntimeError(text.value.decode())
""",
        check=tells,
        control_runs=True,
    ),
    Attack(
        name="a descriptor of another process",
        group="processes",
        code="""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for pid in ($pid, 1, os.getppid()):
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        continue
    for number in range(64):
        got = libc.syscall(438, handle, number, 0)
        if got >= 0:
            raise RuntimeError("REACHED")
""",
        check=says,
        control_runs=True,
    ),
    Attack(
        name="more privileges by a program that grants them",
        group="processes",
        code="""
import os, subprocess
for path in ("/usr/bin/su", "/bin/su", "/usr/bin/sudo", "/usr/bin/newgrp", "/usr/bin/mount"):
    if os.path.exists(path) and os.getuid():
        said = subprocess.run([path, "-c", "id -u"], input=b"", capture_output=True).stdout
        if said.strip() == b"0":
            raise RuntimeError("REACHED")
""",
        check=says,
    ),
    Attack(
        name="another user",
        group="processes",
        code="""
import os
os.setgroups([])
os.setuid(os.getuid() + 1)
raise RuntimeError("REACHED")
""",
        check=says,
        control_runs=True,
        root_only=True,
    ),
    Attack(
        name="a higher priority",
        group="processes",
        code='import os\nos.nice(-5)\nraise RuntimeError("REACHED")',
        check=says,
        control_runs=True,
        root_only=True,
    ),
    Attack(
        name="real-time scheduling",
        group="processes",
        code="""
import os
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
raise RuntimeError("REACHED")
""",
        check=says,
        control_runs=True,
        root_only=True,
    ),
    Attack(
        name="higher limits",
        group="processes",
        code="""
import resource
for what in (resource.RLIMIT_NOFILE, resource.RLIMIT_AS, resource.RLIMIT_CPU):
    hard = resource.getrlimit(what)[1]
    resource.setrlimit(what, (hard + 1, hard + 1))
    raise RuntimeError("REACHED")
""",
        check=says,
    ),
    Attack(
        name="the limits of p2assist",
        group="processes",
        code="""
import resource
resource.prlimit($pid, resource.RLIMIT_NOFILE)
raise RuntimeError("REACHED")
""",
        check=says,
        control_runs=True,
    ),
)
KERNEL = (
    _call("ptrace of another process", "libc.ptrace(16, $canary, 0, 0)"),
    _call("ptrace of its parent", "libc.ptrace(16, os.getppid(), 0, 0)"),
    _call("a new user namespace", "libc.unshare(0x10000000)"),
    _call("a new mount namespace", "libc.unshare(0x20000)", control_runs=True, root_only=True),
    _call(
        "a child in new namespaces",
        "libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0) or os._exit(0)",
        control_runs=True,
    ),
    _call(
        "a child in new namespaces, the newer way",
        "libc.syscall(435, (ctypes.c_uint64 * 8)(0x10000000, 0, 0, 0, 17), 64) or os._exit(0)",
        control_runs=True,
    ),
    _call(
        "another's namespaces",
        "libc.setns(os.open('/proc/1/ns/net', 0), 0)",
        control_runs=True,
        root_only=True,
    ),
    _call("mounting", "libc.mount(b'x', b'/tmp', b'tmpfs', 0, 0)"),
    _call("unmounting", "libc.umount2(b'/proc', 2)"),
    _call("writable once more", "libc.mount(b'x', b'/usr', b'', 32 | 4096, 0)"),
    _call(
        "the newer mount calls", "libc.syscall(430, b'tmpfs', 0)", control_runs=True, root_only=True
    ),
    _call(
        "a copy of a mount", "libc.syscall(428, -100, b'/', 1)", control_runs=True, root_only=True
    ),
    _call("another root", "libc.chroot(b'/tmp')", root_only=True),
    _call(
        "bpf",
        "libc.syscall(321, 0, (ctypes.c_uint32 * 12)(2, 4, 8, 1), 48)",
        control_runs=True,
        root_only=True,
    ),
    _call(
        "performance counters",
        "libc.syscall(298, (ctypes.c_uint32 * 32)(1, 128), 0, -1, -1, 0)",
        control_runs=True,
        root_only=True,
    ),
    _call("userfaultfd", "libc.syscall(323, 1)", control_runs=True),
    _call("io_uring", "libc.syscall(425, 2, (ctypes.c_uint32 * 30)())", control_runs=True),
    _call("adding a key", "libc.syscall(248, b'user', b'$token', b'x', 1, -2)", control_runs=True),
    _call("the host's name", "libc.sethostname(b'p2assist-attack', 15)"),
    _call("the clock", "libc.settimeofday((ctypes.c_long * 2)(1, 1), 0)"),
    _call("access to the ports", "libc.iopl(3)", control_runs=True, root_only=True),
    _call(
        "watching the whole file system",
        "libc.syscall(300, 0, 0)",
        control_runs=True,
        root_only=True,
    ),
    _call("process accounting", "libc.acct(0)", control_runs=True, root_only=True),
    _call(
        "comparing with another process",
        "libc.syscall(312, $pid, $pid, 0, 0, 0)",
        control_runs=True,
    ),
    _call("advice about another's memory", "libc.syscall(440, os.pidfd_open($pid), 0, 0, 20, 0)"),
    _call("System V memory that stays", "libc.shmget(0x$number, 4096, 0o1666)"),
    Attack(
        name="a restart of the machine",
        group="kernel",
        code="""
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall(169, 0, 0, 0, 0)
if ctypes.get_errno() != 1:
    raise RuntimeError("REACHED")
""",
        check=says,
    ),
    Attack(
        name="a module for the kernel",
        group="kernel",
        code="""
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall(175, b"", 0, b"")
if ctypes.get_errno() != 1:
    raise RuntimeError("REACHED")
""",
        check=says,
        control_runs=True,
        root_only=True,
    ),
    Attack(
        name="system calls of 32 bits",
        group="kernel",
        code="""
import ctypes, mmap
code = mmap.mmap(-1, 4096, prot=7)
code.write(bytes.fromhex("b814000000cd80c3"))
address = ctypes.addressof(ctypes.c_char.from_buffer(code))
if ctypes.CFUNCTYPE(ctypes.c_int)(address)() > 0:
    raise RuntimeError("REACHED")
""",
        check=says,
        control_runs=True,
    ),
    Attack(
        name="system calls under another number",
        group="kernel",
        code="""
import ctypes
if ctypes.CDLL(None).syscall(0x40000000 | 39) > 0:
    raise RuntimeError("REACHED")
""",
        check=says,
    ),
)
ATTACKS = (*PROCESSES, *KERNEL)
