"""Candidates that may not run: those that newly reach for what could forge a verdict.

Code in the test's own process can patch pytest or read the worker's frames, and no sandbox around
the process can prevent it. So a candidate is refused that brings in names by which that is done
and which its original file does not use (some modules use them rightly). This is a hedge, not a
proof: what is spelt only at run time gets through.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

# Modules that reach the test runner, memory, other objects or other code's frames.
_MODULES = frozenset(
    {
        *("_pytest", "pytest", "pluggy", "unittest", "mock", "ctypes", "_ctypes", "cffi", "mmap"),
        *("gc", "inspect", "traceback", "importlib", "imp", "runpy", "code", "pdb", "bdb"),
        *("builtins", "_testcapi", "_testinternalcapi", "__main__"),
    }
)
# Those of them that mean nothing else where they are spelt as text or as an attribute.
_PLAIN = frozenset({"_pytest", "pytest", "ctypes", "_ctypes", "builtins", "pluggy"})
# Attributes and names, wherever they stand.
_NAMES = frozenset(
    {
        *("f_back", "f_locals", "f_globals", "f_builtins", "f_code", "f_trace", "tb_frame"),
        *("tb_next", "__traceback__", "gi_frame", "gi_code", "cr_frame", "cr_code", "ag_frame"),
        *(
            "ag_code",
            "_getframe",
            "_current_frames",
            "_current_exceptions",
            "settrace",
            "setprofile",
        ),
        *("_setprofileallthreads", "currentframe", "__closure__", "cell_contents", "__code__"),
        *("__globals__", "__builtins__", "__subclasses__", "__loader__", "__spec__", "meta_path"),
        *("path_hooks", "addaudithook", "excepthook", "unraisablehook", "get_referrers"),
        *("get_objects", "get_referents", "setswitchinterval", "set_trace", "breakpoint"),
        *("__import__", "import_module"),
    }
)
# Functions of the os and sys modules, by their own name or after the module's.
_OF_MODULE = {
    "os": frozenset(
        {
            *("write", "writev", "pwrite", "pwritev", "fdopen", "dup", "dup2", "sendfile"),
            *("splice", "register_at_fork"),
        }
    ),
    "sys": frozenset({"modules", "monitoring", "last_traceback"}),
    "socket": frozenset({"fromfd"}),
}
_BUILTINS = frozenset({"exec", "eval", "compile", "globals", "vars"})
_PATHS = ("/proc/", "/dev/fd")


def refuse(text: ast.Module, original: ast.Module) -> str:
    """Why the candidate's file may not run, in words; '' where it may.

    text, original: the trees of the file with the candidate, and of the file before it.
    """
    new = suspects(text) - suspects(original)
    return f"it newly uses {', '.join(sorted(new))}" if new else ""


def suspects(module: ast.Module) -> frozenset[str]:
    """The watched names that the file uses, as they are called in messages."""
    return frozenset(name for node in ast.walk(module) for name in _of_node(node))


def _of_node(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield from _of_module(alias.name)
    elif isinstance(node, ast.ImportFrom):
        yield from _of_module(node.module or "")
        watched = _OF_MODULE.get(node.module or "", frozenset()) | _NAMES | _MODULES
        yield from (alias.name for alias in node.names if alias.name in watched)
    elif isinstance(node, ast.Attribute):
        yield from _of_attribute(node)
    elif isinstance(node, ast.Name):
        if node.id in _NAMES:
            yield node.id
    elif isinstance(node, ast.Call):
        yield from _of_call(node)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from _of_text(node.value)


def _of_module(name: str) -> Iterator[str]:
    top = name.partition(".")[0]
    if top in _MODULES:
        yield top


def _of_attribute(node: ast.Attribute) -> Iterator[str]:
    if node.attr in _NAMES:
        yield node.attr
    owner = node.value.id if isinstance(node.value, ast.Name) else ""
    if node.attr in _OF_MODULE.get(owner, frozenset()):
        yield f"{owner}.{node.attr}"
    # A module that some other module has imported is as good as one's own import.
    if node.attr in _PLAIN:
        yield node.attr


def _of_call(node: ast.Call) -> Iterator[str]:
    if not isinstance(node.func, ast.Name):
        return
    if node.func.id in _BUILTINS:
        yield f"{node.func.id}()"
    first = node.args[0] if node.args else None
    if node.func.id == "open" and isinstance(first, ast.Constant) and type(first.value) is int:
        yield "open() of a descriptor"


def _of_text(text: str) -> Iterator[str]:
    """Names that are spelt as text, for getattr and its like; a sentence is none."""
    if text in _NAMES or text in _PLAIN:
        yield text
    elif text.startswith(("_pytest.", "pytest.")) and text.replace(".", "").isidentifier():
        yield text.partition(".")[0]
    else:
        yield from (path for path in _PATHS if text.startswith(path))
