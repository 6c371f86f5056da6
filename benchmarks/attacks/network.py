"""Attacks that want to talk to somebody."""

from benchmarks.attacks.attack import Attack, arrives, says, tells

_CONNECT = """
import socket
s = socket.socket(socket.$family, socket.$kind)
s.settimeout(1)
s.connect($address)
s.send(b"hello")
"""


def _connect(name: str, family: str, kind: str, address: str) -> Attack:
    code = _CONNECT.replace("$family", family).replace("$kind", kind)
    code = code.replace("$address", address)
    return Attack(name=name, group="network", code=code, check=arrives, control_runs=True)


ATTACKS = (
    _connect("TCP to a port of this machine", "AF_INET", "SOCK_STREAM", "('127.0.0.1', $tcp)"),
    _connect("TCP over IPv6", "AF_INET6", "SOCK_STREAM", "('::1', $tcp6)"),
    _connect("TCP to the machine's own address", "AF_INET", "SOCK_STREAM", "('$address', $tcp)"),
    _connect("UDP", "AF_INET", "SOCK_DGRAM", "('127.0.0.1', $udp)"),
    _connect("a Unix socket by its path", "AF_UNIX", "SOCK_STREAM", "'$outside/docker.sock'"),
    _connect("a Unix socket in the repository", "AF_UNIX", "SOCK_STREAM", "'$root/dev.sock'"),
    _connect("an abstract Unix socket", "AF_UNIX", "SOCK_STREAM", "'\\0$token'"),
    _connect("an abstract datagram socket", "AF_UNIX", "SOCK_DGRAM", "'\\0$token-d'"),
    Attack(
        name="a Unix socket through a copy of its file",
        group="network",
        code="""
import os, socket
os.link("$root/dev.sock", "$root/other.sock")
s = socket.socket(socket.AF_UNIX)
s.connect("$root/other.sock")
s.send(b"hello")
""",
        check=arrives,
        control_runs=True,
    ),
    Attack(
        name="netlink: the machine's interfaces",
        group="network",
        code="""
import socket
names = [name for _, name in socket.if_nameindex() if name not in ("lo", "sit0", "tunl0")]
if names:
    raise RuntimeError("REACHED " + " ".join(names))
""",
        check=says,
        control_runs=True,
    ),
    Attack(
        name="vsock: the machine's host",
        group="network",
        code="""
import socket
socket.socket(40, socket.SOCK_STREAM)
raise RuntimeError("REACHED")
""",
        check=says,
        control_runs=True,
    ),
    Attack(
        name="a raw packet socket",
        group="network",
        code="""
import socket
socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
raise RuntimeError("REACHED")
""",
        check=says,
        control_runs=True,
        root_only=True,
    ),
    Attack(
        name="the kernel's own crypto sockets",
        group="network",
        code="""
import socket
socket.socket(38, socket.SOCK_SEQPACKET)
raise RuntimeError("REACHED")
""",
        check=says,
    ),
    Attack(
        name="inherited descriptors that lead outside",
        group="network",
        code="""
import os, stat
found = []
for name in os.listdir("/proc/self/fd"):
    number = int(name)
    try:
        if number > 2 and stat.S_ISDIR(os.fstat(number).st_mode):
            path = os.open("../../outside/secret", os.O_RDONLY, dir_fd=number)
            found.append(os.read(path, 99).decode())
    except OSError:
        pass
raise RuntimeError(" ".join(found))
""",
        check=tells,
    ),
    Attack(
        name="a descriptor received from a passer-by",
        group="network",
        code="""
import socket
for name in ("$token", "$token-d"):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        try:
            s = socket.socket(socket.AF_UNIX, kind)
            s.connect("\\0" + name)
            socket.send_fds(s, [b"hello"], [0])
        except OSError:
            pass
""",
        check=arrives,
        control_runs=True,
    ),
)
