"""Candidates that may not run: those that newly reach for what could forge a verdict.

Code in the test's own process can patch pytest or read the worker's frames, and no sandbox around
the process can prevent it. So a candidate is refused that brings in names by which that is done
and which its original file does not use (some modules use them rightly). This is a hedge, not a
proof: what is spelt only at run time gets through.
"""

from __future__ import annotations

import ast

# Modules that reach the test runner, memory, other objects or other code's frames.
_MODULES = frozenset(
    {
        *("_pytest", "pytest", "pluggy", "unittest", "mock", "ctypes", "_ctypes", "cffi", "mmap"),
        *("gc", "inspect", "traceback", "importlib", "imp", "runpy", "code", "pdb", "bdb"),
        *("builtins", "_testcapi", "_testinternalcapi", "__main__", "pkgutil", "zipimport"),
        *("pickle", "_pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "codeop"),
    }
)
# Those of them that mean nothing else where they are spelt as text or as an attribute.
_PLAIN = frozenset({"_pytest", "pytest", "ctypes", "_ctypes", "builtins", "pluggy"})
# Attributes and names, wherever they stand.
_NAMES = frozenset(
    {
        *("f_back", "f_locals", "f_globals", "f_builtins", "f_code", "f_trace", "tb_frame"),
        *("tb_next", "__traceback__", "gi_frame", "gi_code", "cr_frame", "cr_code", "ag_frame"),
        *("ag_code", "_getframe", "_current_frames", "_current_exceptions", "_getframemodulename"),
        *("settrace", "setprofile", "settrace_all_threads", "setprofile_all_threads"),
        *("_setprofileallthreads", "currentframe", "__closure__", "cell_contents", "__code__"),
        *("__globals__", "__builtins__", "__subclasses__", "__loader__", "__spec__", "meta_path"),
        *("path_hooks", "addaudithook", "excepthook", "unraisablehook", "get_referrers"),
        *("get_objects", "get_referents", "setswitchinterval", "set_trace", "breakpoint"),
        *("__import__", "import_module", "resolve_name", "__getattribute__"),
        *("PYTEST_CURRENT_TEST", "PYTEST_VERSION"),
    }
)
# What of the os, sys and socket modules, by its own name or after the module's.
_OF_MODULE = {
    "os": frozenset(
        {
            *("write", "writev", "pwrite", "pwritev", "fdopen", "dup", "dup2", "sendfile"),
            *("splice", "register_at_fork", "__dict__"),
        }
    ),
    "sys": frozenset({"modules", "monitoring", "last_traceback", "__dict__"}),
    "socket": frozenset({"fromfd", "__dict__"}),
}
_BUILTINS = frozenset({"exec", "eval", "compile", "globals", "vars"})
# By these an answer says itself what it equals; a class within a function has no other use there.
_COMPARISONS = frozenset({"__eq__", "__ne__", "__bool__"})
_PATHS = ("/proc/", "/dev/fd")


def refuse(text: ast.Module, original: ast.Module) -> str:
    """Why the candidate's file may not run, in words; '' where it may.

    text, original: the trees of the file with the candidate, and of the file before it.
    """
    new = suspects(text) - suspects(original)
    return f"it newly uses {', '.join(sorted(new))}" if new else ""


def suspects(module: ast.Module) -> frozenset[str]:
    """The watched names that the file uses, as they are called in messages."""
    seen = _Suspects()
    seen.visit(module)
    return frozenset(seen.found)


class _Suspects(ast.NodeVisitor):
    """Collects the names. Modules are known under the names that the file gives them."""

    def __init__(self) -> None:
        self.found: set[str] = set()
        self._modules: dict[str, str] = {name: name for name in _OF_MODULE}
        self._depth = 0  # of functions around the node

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._module(alias.name)
            if alias.asname and alias.name in _OF_MODULE:
                self._modules[alias.asname] = alias.name

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self._module(node.module or "")
        watched = _OF_MODULE.get(node.module or "", frozenset()) | _NAMES | _MODULES
        for alias in node.names:
            if alias.name in watched:
                self.found.add(alias.name)
            if alias.name in _OF_MODULE:  # `from warnings import sys`
                self._modules[alias.asname or alias.name] = alias.name

    def visit_Attribute(self, node: ast.Attribute) -> None:
        # A module that some other module has imported is as good as one's own import.
        if node.attr in _NAMES | _PLAIN:
            self.found.add(node.attr)
        owner = self._owner(node.value)
        if node.attr in _OF_MODULE.get(owner, frozenset()):
            self.found.add(f"{owner}.{node.attr}")
        if not isinstance(node.value, ast.Name):  # else its name is no use of its own
            self.visit(node.value)
        elif node.value.id in _NAMES | _BUILTINS:
            self.found.add(node.value.id)

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in _NAMES:
            self.found.add(node.id)
        elif node.id in _BUILTINS and isinstance(node.ctx, ast.Load):
            self.found.add(f"{node.id}()")
        elif node.id in self._modules and isinstance(node.ctx, ast.Load):
            self.found.add(f"the module {self._modules[node.id]} as a value")

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        first = node.args[0] if node.args else None
        if name == "open" and isinstance(first, ast.Constant) and type(first.value) is int:
            self.found.add("open() of a descriptor")
        if name == "type" and len(node.args) == 3:
            self.found.add("type() of three")
        if name in ("getattr", "setattr", "attrgetter") and _is_computed(node.args[-1:]):
            self.found.add(f"{name}() of a computed name")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if isinstance(whole := _folded(node), str):
            self._text(whole)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self._text(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if self._depth and node.name in _COMPARISONS:
            self.found.add(f"{node.name} within a function")
        self._depth += 1
        self.generic_visit(node)
        self._depth -= 1

    def _module(self, name: str) -> None:
        top = name.partition(".")[0]
        if top in _MODULES:
            self.found.add(top)

    def _owner(self, node: ast.expr) -> str:
        """The watched module that the expression is, '' for any other: `sys`, `warnings.sys`."""
        if isinstance(node, ast.Name):
            return self._modules.get(node.id, "")
        return node.attr if isinstance(node, ast.Attribute) and node.attr in _OF_MODULE else ""

    def _text(self, text: str) -> None:
        """Names that are spelt as text, for getattr and its like; a sentence is none."""
        if text in _NAMES or text in _PLAIN or text in _COMPARISONS:
            self.found.add(text)
        elif text.startswith(("_pytest.", "pytest.")) and text.replace(".", "").isidentifier():
            self.found.add(text.partition(".")[0])
        else:
            self.found.update(path for path in _PATHS if text.startswith(path))


def _is_computed(arguments: list[ast.expr]) -> bool:
    """Whether the last one is put together on the spot."""
    return any(isinstance(a, ast.BinOp | ast.Call | ast.JoinedStr) for a in arguments)


def _folded(node: ast.expr) -> str | None:
    """The text of constants that are added up; None where it is anything else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _folded(node.left), _folded(node.right)
        return left + right if left is not None and right is not None else None
    return None
