"""Attacks on the sandbox, each from inside, in every isolation that holds on this machine."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import psutil
import pytest

from p2assist.errors import HarnessError, IsolationError
from p2assist.harness import sandbox
from p2assist.harness.sandbox import Box, Command, Ending, Isolation, Layer

from .helpers import bare_python, write

Attack = Callable[..., str]


def holds(name: str) -> bool:
    return all(layer.holds for layer in sandbox.examine(name).layers)


NAMES = [
    pytest.param(name, marks=pytest.mark.skipif(not holds(name), reason=f"no {name} here"))
    for name in ("namespaces", "landlock")
]


@pytest.fixture(params=NAMES)
def box(request: pytest.FixtureRequest, tmp_path: Path) -> Box:
    root = write(
        tmp_path / "repo",
        {"code.py": "x = 1\n", ".env": "TOKEN=1\n", ".p2assist/replay.db": "store\n"},
    )
    return Box(
        isolation=sandbox.examine(request.param),
        root=root.resolve(),
        read=python_paths(),
        hidden=(".p2assist", ".env"),
        memory_mb=1024,
    )


def python_paths() -> tuple[str, ...]:
    return (str(bare_python().parents[1]), str(Path(sys.base_prefix).resolve()), sys.base_prefix)


def start(box: Box, code: str, *, timeout: float = 60.0, cpu: int = 60) -> Ending:
    place = box.place()
    command = Command(
        argv=(str(bare_python()), "-I", "-S", "-c", dedent(code)),
        env={"HOME": place.home},
        place=place,
        timeout=timeout,
        cpu=cpu,
        output=True,
    )
    return sandbox.run(box, command)


def said(box: Box, code: str) -> str:
    """What the code prints; 'OSError' and its like where it raises."""
    body = dedent(code).replace("\n", "\n    ")
    guarded = f"try:\n    {body}\nexcept Exception as e:\n    print(type(e).__mro__[-4].__name__)"
    ending = start(box, guarded)
    assert ending.how == "exit", ending
    return ending.output.strip()


def test_something_isolates_where_these_tests_run() -> None:
    assert sandbox.detect().name in {"namespaces", "landlock"}


def test_the_repository_can_be_read_and_its_secrets_cannot(box: Box) -> None:
    assert said(box, "print(open('code.py').read())") == "x = 1"
    assert said(box, "print(open('.env').read())") == "OSError"
    assert said(box, "print(open('.p2assist/replay.db').read())") == "OSError"


def test_nothing_else_can_be_read(box: Box, tmp_path: Path) -> None:
    secret = tmp_path / "id_rsa"
    secret.write_text("secret")
    for path in (secret, Path.home() / ".bashrc", Path("/etc/shadow"), Path("/etc/hostname")):
        assert said(box, f"print(open({str(path)!r}).read())") == "OSError"
    home = "import os; print(os.listdir(os.path.expanduser('~')))"
    assert said(box, home) == "[]"


def test_writes_are_thrown_away(box: Box, tmp_path: Path) -> None:
    write_all = """
        import os
        open('code.py', 'a').write('y = 2')
        open('new.py', 'w').write('z')
        open(os.path.expanduser('~/note'), 'w').write('n')
        print(open('code.py').read())
        """
    assert said(box, write_all) == "x = 1\ny = 2"
    assert (box.root / "code.py").read_text() == "x = 1\n"
    assert not (box.root / "new.py").exists()
    outside = tmp_path / "outside"
    said(box, f"open({str(outside)!r}, 'w').write('x')")
    assert not outside.exists()
    assert said(box, "open('/usr/p2assist', 'w')") == "OSError"


def test_modes_of_outside_files_stay(box: Box, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("x")
    outside.chmod(0o600)
    said(box, f"import os; os.chmod({str(outside)!r}, 0o777)")
    assert outside.stat().st_mode & 0o777 == 0o600


def test_the_environment_is_empty(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    assert "hunter2" not in said(box, "import os; print(dict(os.environ))")
    mine = os.getpid()
    assert said(box, f"print(open('/proc/{mine}/environ').read())") == "OSError"
    assert said(box, f"print(open('/proc/{mine}/mem', 'rb'))") == "OSError"
    above = "import os; print(open(f'/proc/{os.getppid()}/environ').read() or 'nothing')"
    assert said(box, above) in {"OSError", "nothing"}


def test_the_network_and_the_hosts_sockets_are_out_of_reach(box: Box, tmp_path: Path) -> None:
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as path:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        path.bind(str(tmp_path / "s"))
        path.listen()
        port = tcp.getsockname()[1]
        connect = "import socket; socket.create_connection(({!r}, {}), 2); print('reached')"
        assert said(box, connect.format("127.0.0.1", port)) == "OSError"
        assert said(box, connect.format("192.0.2.1", 9)) == "OSError"
        to_path = f"""
            import socket
            socket.socket(socket.AF_UNIX).connect({str(tmp_path / "s")!r})
            print('reached')
            """
        assert said(box, to_path) == "OSError"


def test_an_abstract_socket_is_out_of_reach(box: Box) -> None:
    with socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0p2assist-{os.getpid()}")
        abstract.listen()
        code = f"""
            import socket
            socket.socket(socket.AF_UNIX).connect('\\0p2assist-{os.getpid()}')
            print('reached')
            """
        assert said(box, code) == "OSError"


def test_other_processes_cannot_be_signalled(box: Box) -> None:
    assert said(box, f"import os; os.kill({os.getpid()}, 0); print('reached')") == "OSError"


def test_whoever_types_comes_first(box: Box) -> None:
    assert int(said(box, "import os; print(os.nice(0))")) == min(19, os.nice(0) + 10)
    assert said(box, "import os; print(os.nice(-5))") == "OSError"


def test_no_way_out_by_system_calls(box: Box) -> None:
    escape = """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        mounted = libc.mount(b'x', b'/', b'tmpfs', 0, 0)
        print((libc.unshare(0x10000000), libc.ptrace(0, 0, 0, 0), mounted))
        """
    assert said(box, escape) == "(-1, -1, -1)"


def test_a_fork_bomb_is_capped(box: Box) -> None:
    bomb = """
        import os, time
        count = 0
        for _ in range(3000):
            try:
                if os.fork() == 0:
                    time.sleep(60)
                    os._exit(0)
            except OSError:
                break
            count += 1
        print(count)
        """
    before = set(psutil.Process().children(recursive=True))
    ending = start(box, bomb, timeout=40)
    assert ending.words == "too many processes" or int(ending.output) <= 700
    assert set(psutil.Process().children(recursive=True)) <= before


def test_processes_that_have_ended_leave_room_for_others(box: Box) -> None:
    """The kernel hands out low process numbers once."""
    many = """
        import os, threading
        for _ in range(500):
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)
        threading.stack_size(65536)
        end = threading.Event()
        threads = [threading.Thread(target=end.wait) for _ in range(200)]
        for thread in threads:
            thread.start()
        end.set()
        print("all started")
        """
    ending = start(box, many, timeout=40)
    assert ending.output.strip() == "all started"


def test_memory_and_files_are_capped(box: Box) -> None:
    assert said(box, "bytearray(2 << 30)") == "MemoryError"
    big = """
        with open('big', 'wb') as file:
            for _ in range(100):
                file.write(b'x' * (1 << 20))
        """
    assert said(box, big) == "OSError"


def test_processor_time_is_capped(box: Box) -> None:
    ending = start(box, "while True: pass", cpu=1)
    assert (ending.how, ending.value) == ("signal", 24)


def test_a_daemon_does_not_survive(box: Box) -> None:
    token = f"sleeper-{os.getpid()}"
    daemon = f"""
        import os, sys
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                code = 'import time; time.sleep(99)'
                os.execv(sys.executable, [sys.executable, '-c', code, '{token}'])
            os._exit(0)
        os.wait()
        print('started')
        """
    assert start(box, daemon).output.strip() == "started"
    alive = [p for p in psutil.process_iter(["cmdline"]) if token in (p.info["cmdline"] or ())]
    assert alive == []


def test_a_timeout_ends_all_of_it(box: Box) -> None:
    before = set(psutil.Process().children(recursive=True))  # other tests keep a warm server
    ending = start(box, "import os, time; os.fork() or os.setsid(); time.sleep(300)", timeout=1)
    assert ending.how == "timeout"
    assert set(psutil.Process().children(recursive=True)) <= before


def test_the_caller_can_stop_it(box: Box) -> None:
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    place = box.place()
    command = Command(
        argv=(str(bare_python()), "-I", "-S", "-c", "import time; time.sleep(300)"),
        env={"HOME": place.home},
        place=place,
        timeout=300,
    )
    started = time.monotonic()
    assert sandbox.run(box, command, stop=stop).how == "abort"
    assert time.monotonic() - started < 200


def test_nothing_is_left_on_the_host(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    mounts = Path("/proc/self/mounts").read_text()
    assert said(box, "open('left', 'w').write('x'); print(1)") == "1"
    assert list(scratch.iterdir()) == []
    assert Path("/proc/self/mounts").read_text() == mounts


def test_a_command_that_does_not_exist_is_told(box: Box) -> None:
    place = box.place()
    command = Command(argv=("/nowhere/python",), env={"HOME": place.home}, place=place)
    ending = sandbox.run(box, command)
    assert ending.how == "setup"
    assert "No such file" in ending.words


def test_messages_arrive_whole_and_in_order(box: Box) -> None:
    heard: list[bytes] = []
    place = box.place()
    code = "import os; fd = int(input()); [os.write(fd, b'%d' % n * 20000) for n in range(8)]"
    command = Command(
        argv=(str(bare_python()), "-I", "-S", "-c", code),
        env={"HOME": place.home},
        place=place,
        request=lambda channel: str(channel).encode(),
    )
    assert sandbox.run(box, command, receive=heard.append) == Ending("exit", 0)
    assert heard == [b"%d" % n * 20000 for n in range(8)]


def test_where_nothing_isolates_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sandbox, "examine", lambda name: Isolation(name, (Layer(name, False, "no such thing"),))
    )
    with pytest.raises(IsolationError, match=r"namespaces: no such thing; landlock.*unprotected"):
        sandbox.detect()
    assert sandbox.detect("none").layers[0].holds is False


def test_one_layer_that_does_not_hold_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {
        "namespaces": (Layer("files", True), Layer("network", False, "reached")),
        "landlock": (Layer("files", True),),
    }
    monkeypatch.setattr(sandbox, "examine", lambda name: Isolation(name, found[name]))
    assert sandbox.detect().name == "landlock"
    with pytest.raises(IsolationError, match="network: reached"):
        sandbox.detect("namespaces")


def test_a_broken_launcher_is_told(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_PACKAGE_ROOT", "/nowhere")
    with pytest.raises(HarnessError, match="No module named 'p2assist'"):
        start(box, "print(1)")
