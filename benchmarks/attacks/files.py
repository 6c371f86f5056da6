"""Attacks that want to write what is not theirs, or to read what they should not know."""

from benchmarks.attacks.attack import Attack, changes, says, tells


def _write(name: str, code: str, **more: object) -> Attack:
    return Attack(
        name=name,
        group="writes",
        code=code,
        **{"check": changes, "control_runs": True} | more,  # type: ignore[arg-type]
    )


def _plant(name: str, path: str) -> Attack:
    code = f'import os\nos.makedirs(os.path.dirname("{path}"), exist_ok=True)\n'
    return _write(name, code + f'open("{path}", "w").write("planted")')


WRITES = (
    _plant("a file outside the repository", "$outside/planted"),
    _plant("the home folder", "$home/.bashrc"),
    _plant("a source file of the repository", "$root/shop/odd.py"),
    _plant("a new file of the repository", "$root/shop/planted.py"),
    _plant("a conftest.py", "$root/conftest.py"),
    _plant("a hook of git's", "$root/.git/hooks/pre-commit"),
    _plant("the settings of git", "$root/.git/config"),
    _plant("the store", "$root/.p2assist/replay.db"),
    _plant("another repository", "$outside/other/setup.py"),
    _plant("the shell's start", "$home/.profile"),
    _plant("a user's site-packages", "$home/.local/lib/python3/site-packages/evil.pth"),
    _plant("the interpreter's packages", "$site/p2assist_attack.pth"),
    _plant("the temporary folder, by its real path", "$base/planted"),
    _write("through a link that stood in the repository", 'open("$root/out/planted", "w")'),
    _write(
        "through a link made for it",
        """
import os
os.remove("$root/shop/prices.py")
os.symlink("$outside/notes", "$root/shop/prices.py")
open("$root/shop/prices.py", "w").write("planted")
""",
    ),
    _write(
        "a race of links",
        """
import os, threading
def swap():
    for n in range(300):
        for target in ("$outside", "$root/shop"):
            try:
                os.symlink(target, "$root/race.new")
                os.rename("$root/race.new", "$root/race")
            except OSError:
                pass
thread = threading.Thread(target=swap)
thread.start()
for n in range(300):
    try:
        open("$root/race/planted", "w").write("x")
    except OSError:
        pass
thread.join()
""",
    ),
    _write("the mode of a file outside", 'import os\nos.chmod("$outside/notes", 0o777)'),
    _write("the times of a file outside", 'import os\nos.utime("$outside/notes", (1, 1))'),
    _write("an attribute", 'import os\nos.setxattr("$outside/notes", "user.x", b"planted")'),
    _write("removing a file outside", 'import os\nos.unlink("$outside/notes")'),
    _write("moving a file outside", 'import os\nos.rename("$outside/notes", "$outside/n")'),
    _write("truncating a file outside", 'import os\nos.truncate("$outside/notes", 0)'),
    _write("a hard link", 'import os\nos.link("$outside/notes", "$outside/linked")'),
    _write(
        "removing the tree",
        'import shutil\nshutil.rmtree("$base", ignore_errors=True)',
        control_runs=False,
        deed=lambda world: (world.outside / "notes").unlink(),
    ),
    _write(
        "by another process's root",
        """
import os
for pid in ("self", "1", str(os.getppid()), "$pid"):
    try:
        open(f"/proc/{pid}/root$outside/planted", "w").write("x")
    except OSError:
        pass
""",
    ),
    _write(
        "by another process's working folder",
        """
import os
for pid in ("1", str(os.getppid()), "$pid", "$canary"):
    try:
        open(f"/proc/{pid}/cwd/planted", "w").write("x")
    except OSError:
        pass
""",
        control_runs=False,
    ),
    Attack(
        name="the kernel's log",
        group="writes",
        code='open("/dev/kmsg", "w")\nraise RuntimeError("REACHED")',
        check=says,
        control_runs=True,
        root_only=True,
    ),
    Attack(
        name="the kernel's settings",
        group="writes",
        code="""
import os
for path in ("kernel/core_pattern", "kernel/pid_max", "vm/overcommit_memory"):
    try:
        os.open("/proc/sys/" + path, os.O_WRONLY)
        raise RuntimeError("REACHED " + path)
    except OSError:
        pass
""",
        check=says,
        control_runs=True,
        root_only=True,
    ),
    Attack(
        name="the kernel's magic keys",
        group="writes",
        code="""
import os
os.open("/proc/sysrq-trigger", os.O_WRONLY)
raise RuntimeError("REACHED")
""",
        check=says,
        control_runs=True,
        root_only=True,
    ),
    Attack(
        name="a device file of the disk",
        group="writes",
        code="""
import os, stat
os.mknod("/tmp/disk-$token", 0o600 | stat.S_IFBLK, os.makedev(254, 0))
os.unlink("/tmp/disk-$token")
raise RuntimeError("REACHED")
""",
        check=says,
        control_runs=True,
        root_only=True,
    ),
    Attack(
        name="the terminal",
        group="writes",
        code="""
import os
for path in ("/dev/tty", "/dev/console", "/dev/pts/0", "/dev/tty1"):
    try:
        os.open(path, os.O_WRONLY | os.O_NOCTTY)
        raise RuntimeError("REACHED " + path)
    except OSError:
        pass
""",
        check=says,
    ),
    Attack(
        name="control groups and the kernel's objects",
        group="writes",
        code="""
import os
for path in ("/sys/fs/cgroup/$token", "/sys/fs/cgroup/pids/$token", "/sys/kernel/config/$token"):
    try:
        os.mkdir(path)
        os.rmdir(path)
        raise RuntimeError("REACHED " + path)
    except OSError:
        pass
""",
        check=says,
        control_runs=True,
        root_only=True,
    ),
)


def _read(name: str, code: str, **more: object) -> Attack:
    return Attack(
        name=name,
        group="reads",
        code=code,
        **{"check": tells, "control_runs": True} | more,  # type: ignore[arg-type]
    )


def _open(name: str, path: str, **more: object) -> Attack:
    return _read(name, f'raise RuntimeError(open("{path}").read()[-300:])', **more)


READS = (
    _open("a private key", "$home/.ssh/id_rsa"),
    _open("the cloud's credentials", "$home/.aws/credentials"),
    _open("the repository's .env", "$root/.env"),
    _open("an .env further down", "$root/service/.env"),
    _open("a .env.local further down", "$root/service/deep/.env.local"),
    _open("a private key in the repository", "$root/deploy/id_ed25519"),
    _open("git's credentials", "$root/.git/config"),
    _open("the store", "$root/.p2assist/replay.db"),
    _open("another repository", "$outside/other/setup.py"),
    _open("a file outside", "$outside/secret"),
    _open("through a link that stood in the repository", "$root/out/secret"),
    _open("through a link to a file that stood there", "$root/shop/linked.txt"),
    _read(
        "through a link made for it",
        """
import os
os.symlink("$outside/secret", "$root/mine")
raise RuntimeError(open("$root/mine").read())
""",
    ),
    _read(
        "a hard link made for it",
        """
import os
os.link("$outside/secret", "$root/hard")
raise RuntimeError(open("$root/hard").read())
""",
    ),
    _read("the names in the home folder", 'import os\nraise RuntimeError(os.listdir("$home"))'),
    _read(
        "its own environment",
        "import os\nraise RuntimeError(os.environ['SECRET_TOKEN'])",
        control_runs=False,
    ),
    _open("the environment of p2assist", "/proc/$pid/environ"),
    _read(
        "every environment there is",
        """
import glob
for path in glob.glob("/proc/*/environ"):
    try:
        text = open(path).read()
    except OSError:
        continue
    if "$mark" in text:
        raise RuntimeError(text[text.index("$mark"):])
""",
    ),
    _read(
        "every command line there is",
        """
import glob
for path in glob.glob("/proc/*/cmdline"):
    try:
        text = open(path).read()
    except OSError:
        continue
    if "$mark" in text:
        raise RuntimeError(text[text.index("$mark"):][:200])
""",
    ),
    _read(
        "p2assist's memory by /proc",
        """
text = open("/proc/$pid/maps").read()
raise RuntimeError("REACHED " + text[:20])
""",
        check=says,
    ),
    _read(
        "by another process's root",
        """
import os
for pid in ("self", "1", str(os.getppid()), "$pid"):
    try:
        raise RuntimeError(open(f"/proc/{pid}/root$outside/secret").read())
    except OSError:
        pass
""",
    ),
    _read(
        "another process's open files",
        """
import glob
for path in glob.glob("/proc/[0-9]*/fd/*"):
    if "/self/" in path or int(path.split("/")[2]) == __import__("os").getpid():
        continue
    try:
        text = open(path, "rb").read(99)
    except OSError:
        continue
    if b"$mark" in text:
        raise RuntimeError(text.decode())
""",
    ),
    _read(
        "the users' passwords",
        'raise RuntimeError("REACHED " + open("/etc/shadow").read(9))',
        check=says,
        root_only=True,
    ),
    _read(
        "the machine's memory",
        'import os\nos.open("/proc/kcore", os.O_RDONLY)\nraise RuntimeError("REACHED")',
        check=says,
        root_only=True,
    ),
    _read(
        "the kernel's log",
        """
import ctypes
text = ctypes.create_string_buffer(9999)
if ctypes.CDLL(None).klogctl(3, text, 9999) > 0:
    raise RuntimeError("REACHED " + repr(text.value[:40]))
""",
        check=says,
        root_only=True,
    ),
    _read(
        "a file by its handle",
        """
import ctypes
handle = (ctypes.c_char * 160)(128, 0, 0, 0)
number = ctypes.c_int()
libc = ctypes.CDLL(None)
if libc.name_to_handle_at(-100, b"$root", handle, ctypes.byref(number), 0) == 0:
    raise RuntimeError("REACHED")
""",
        check=says,
    ),
    _read(
        "the keys of the session",
        """
import ctypes
if ctypes.CDLL(None).syscall(250, 0, -3, 1) >= 0:
    raise RuntimeError("REACHED")
""",
        check=says,
    ),
    _read(
        "the request on standard input, once more",
        """
import os
os.lseek(0, 0, 0)
text = os.read(0, 9999)
if text:
    raise RuntimeError("REACHED " + repr(text[:40]))
""",
        check=says,
        control_runs=False,
    ),
)
ATTACKS = (*WRITES, *READS)
