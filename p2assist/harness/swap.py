"""Inside the warm server: new code for functions that are there already.

Standard library and Python 3.8 or newer; its text is handed to the project's interpreter.
A candidate that changes the bodies of functions alone can be tested without importing anything
anew: the code of every function object that was made of the old text is exchanged. What cannot be
shown to come to the same as an import raises Unfit, and the next level has its turn:
- the module's or a class's own code changed, or a function that ran while modules were imported
  or tests collected: its effects are in the state that is there;
- what was derived from the function when it was defined may differ: its signature, its docstring,
  its free variables, whether it is a coroutine or a generator;
- a generator of it is suspended somewhere; its text was read by something (inspect.getsource);
- a function of the file is made of code that the file's text does not give (rewritten asserts).
"""

# ruff: noqa: PTH123, RUF005, UP006, UP035
from __future__ import annotations
import __future__

import ast
import gc
import linecache
import os
import sys
import warnings
import weakref
from contextlib import suppress
from types import CodeType, FunctionType
from typing import Any, Dict, Iterator, List, Set, Tuple

from p2assist.harness import statement

Path = Tuple[Tuple[str, int], ...]  # names of the code objects around it, with their places
_FUNCTION = 0x2 | 0x1  # CO_NEWLOCALS | CO_OPTIMIZED
_KIND = 0x4 | 0x8 | 0x20 | 0x80 | 0x100 | 0x200 | 0x4000000  # of signature, coroutine, docstring
_VARIABLE = 0x4 | 0x8  # CO_VARARGS, CO_VARKEYWORDS
_FUTURE = 0
for _name in __future__.all_feature_names:
    _FUTURE |= getattr(__future__, _name).compiler_flag
_ALL_TYPES = ("generator", "coroutine", "async_generator")


class Unfit(Exception):  # noqa: N818 - not an error: the next level's turn
    """The candidate cannot be tested by swapping code. Its text says why."""


class Ran:
    """Which code ran between start and stop, whatever thread it was in."""

    def __init__(self) -> None:
        self._codes: Dict[int, CodeType] = {}
        self.read: Set[str] = set()  # files whose source text was asked for
        self._hook = self._make_hook()
        self._undisturbed = True

    def _make_hook(self) -> Any:
        codes, read, lines = self._codes, self.read, linecache.getlines.__code__

        def hook(frame: Any, event: str, argument: Any) -> None:
            if event == "call":
                code = frame.f_code
                codes[id(code)] = code
                # doctest asks where in the file a docstring is, which changes no outcome
                back = frame.f_back
                if code is lines and not (back and back.f_code.co_filename.endswith("doctest.py")):
                    read.add(frame.f_locals["filename"])

        return hook

    def start(self) -> None:
        import threading

        threading.setprofile(self._hook)
        sys.setprofile(self._hook)

    def stop(self) -> None:
        import threading

        self._undisturbed = sys.getprofile() is self._hook
        sys.setprofile(None)
        threading.setprofile(None)

    def by_file(self) -> Dict[str, List[CodeType]]:
        """Raises Unfit where something else took the hook away."""
        if not self._undisturbed:
            raise Unfit("something else profiles while modules are imported")
        found: Dict[str, List[CodeType]] = {}
        for code in self._codes.values():
            found.setdefault(code.co_filename, []).append(code)
        return found


class Base:
    """What there is to be swapped: the functions that exist, weakly held, and what is known of
    their files. To be made when the tests have been collected. A child keeps it: to let go of it
    would write to most of what it shares with the server."""

    def __init__(self, root: str, ran: Ran) -> None:
        self.root = root
        self._real: Dict[str, str] = {}
        self.ran: Dict[str, List[CodeType]] = {}
        for name, codes in ran.by_file().items():
            self.ran.setdefault(self._file(name), []).extend(codes)
        self.functions: Dict[str, List[Any]] = {}
        self.live: Dict[str, List[CodeType]] = {}
        self._survey()
        self.texts: Dict[str, bytes] = {}
        for file in set(self.functions) | set(self.ran):
            if file.startswith(root + "/"):
                self._read(file)
        self.read = {self._file(name) for name in ran.read}
        self._known: Dict[str, Known] = {}

    def _file(self, name: str) -> str:
        real = self._real.get(name)
        if real is None:
            real = self._real[name] = os.path.realpath(name)
        return real

    def _survey(self) -> None:
        for thing in gc.get_objects():
            kind = type(thing)
            if kind is FunctionType:
                file = self._file(thing.__code__.co_filename)
                if file.startswith(self.root + "/"):
                    self.functions.setdefault(file, []).append(weakref.ref(thing))
            elif kind.__name__ in _ALL_TYPES:
                code = _code_of(thing)
                if code is not None:
                    self.live.setdefault(self._file(code.co_filename), []).append(code)

    def _read(self, file: str) -> None:
        try:
            with open(file, "rb") as stream:
                self.texts[file] = stream.read()
        except OSError:
            pass  # it was never a file, or is none any more

    def prepare(self) -> Iterator[None]:
        """Does ahead, a file a step, what plan would do."""
        for file in sorted(self.texts):
            with suppress(Unfit, RecursionError, MemoryError):
                self.known(file)
            yield

    def known(self, file: str) -> Known:
        """What the file was as it was imported. Raises Unfit."""
        found = self._known.get(file)
        if found is None:
            functions, ran = self.functions.get(file, []), self.ran.get(file, [])
            found = Known(self.texts[file], file)
            found.place(functions, ran, self.live.get(file, []))
            self._known[file] = found
        return found


class Known:
    """A file as it was imported. text: None where its lines are not plain."""

    def __init__(self, content: bytes, file: str) -> None:
        self.tree = code_tree(content, file)
        self.flags = self.tree[()].co_flags & _FUTURE
        self.text: Any = None
        with suppress(UnicodeDecodeError, SyntaxError, ValueError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text = content.decode("utf-8")
            self.spans = statement.spans(ast.parse(text))
            self.text = text
        self.functions: List[Tuple[Any, Path]] = []
        self.ran: Set[Path] = set()
        self.live: Set[Path] = set()

    def place(self, functions: List[Any], ran: List[CodeType], live: List[CodeType]) -> None:
        """Notes where in the text everything stands that was made of it. Raises Unfit."""
        paths = {code: path for path, code in self.tree.items()}
        try:
            alive = ((ref, ref()) for ref in functions)
            self.functions = [(ref, paths[f.__code__]) for ref, f in alive if f is not None]
            self.ran = {paths[code] for code in ran}
            self.live = {paths[code] for code in live}
        except KeyError:
            raise Unfit("some of its code is not what its text gives") from None
        if () not in self.ran:
            raise Unfit("its module's own code did not run as its text has it")


def _code_of(thing: Any) -> Any:
    for name in ("gi_code", "cr_code", "ag_code"):
        code = getattr(thing, name, None)
        if code is not None:
            return code
    return None


def code_tree(text: Any, file: str, flags: int = 0) -> Dict[Path, CodeType]:
    """Every code object of the text by its path; () is the module's own. Raises Unfit."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = compile(text, file, "exec", flags=flags, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Unfit("it cannot be compiled: " + type(error).__name__) from None
    found: Dict[Path, CodeType] = {}
    queue: List[Tuple[Path, CodeType]] = [((), module)]
    while queue:
        path, code = queue.pop()
        found[path] = code
        inner = [const for const in code.co_consts if isinstance(const, CodeType)]
        queue += [(path + ((c.co_name, place),), c) for place, c in enumerate(inner)]
    return found


def plan(base: Base, file: str, content: bytes) -> List[Tuple[Any, CodeType]]:
    """The functions to change, each with its new code, so that all that the file's text says now
    holds. [] where the file was never imported: it will be, as it stands now. Raises Unfit."""
    if file not in base.functions and file not in base.ran:
        return []
    if file not in base.texts:
        raise Unfit("its file was not there when it was imported")
    if file in base.read:
        raise Unfit("its source text was read while the tests were collected")
    known = base.known(file)
    old, new, isolated = _trees(known, content, file)
    within = _within(known, isolated, old)
    changed = {p for p in set(old) | set(new) if not _alike(old.get(p), new.get(p))}
    tops = _outermost({_common(path, old, new) for path in changed})
    _require_fit(tops, set(map(within, known.ran)), set(map(within, known.live)), old, new)
    alive = ((ref(), path) for ref, path in known.functions)
    placed = [(function, within(path)) for function, path in alive if function is not None]
    return _exchange(placed, changed, new, isolated)


def _within(known: Known, isolated: Any, old: Dict[Path, CodeType]) -> Any:
    """A function from a path in the file to the one in the statement that was compiled alone;
    None for what is outside. By place and not by code: how a name is called may be compiled in
    another manner where the module's imports are not seen."""
    if isolated is None:
        return lambda path: path
    lines = range(isolated.first, isolated.last + 1)
    there = [p[0] for p, c in known.tree.items() if len(p) == 1 and c.co_firstlineno in lines]
    here = [p[0] for p in old if len(p) == 1]
    there.sort(key=lambda step: step[1])
    here.sort(key=lambda step: step[1])
    if [name for name, _ in there] != [name for name, _ in here]:
        raise Unfit("its statement cannot be told apart")
    steps = dict(zip(there, here))  # noqa: B905 - strict is newer than Python 3.8

    def within(path: Path) -> Any:
        if not path or path[0] not in steps:
            return None
        return (steps[path[0]],) + path[1:]

    return within


def _trees(known: Known, content: bytes, file: str) -> Any:
    """The codes before and after: those of one statement, where nothing else changed."""
    if known.text is not None:
        with suppress(UnicodeDecodeError, Unfit):
            found = statement.isolate(known.text, content.decode("utf-8"), known.spans)
            if found is not None:
                old = code_tree(found.old, file, known.flags)
                return old, code_tree(found.new, file, known.flags), found
    return known.tree, code_tree(content, file), None


def _require_fit(
    tops: Set[Path],
    ran: Set[Any],
    live: Set[Any],
    old: Dict[Path, CodeType],
    new: Dict[Path, CodeType],
) -> None:
    for top in tops:
        before, after = old[top], new[top]
        if not top:
            raise Unfit("code of the module itself changed")
        if before.co_flags & _FUNCTION != _FUNCTION:
            raise Unfit("the body of a class changed")
        if before.co_name == "__annotate__":
            raise Unfit("annotations changed")
        if top in ran:
            raise Unfit(before.co_name + " ran while the tests were collected")
        if any(path and path[: len(top)] == top for path in live):
            raise Unfit("a generator of " + before.co_name + " is suspended")
        if _signature(before) != _signature(after):
            raise Unfit("the signature, docstring or kind of " + before.co_name + " changed")


def _exchange(
    placed: List[Tuple[Any, Any]], changed: Set[Path], new: Dict[Path, CodeType], isolated: Any
) -> List[Tuple[Any, CodeType]]:
    """Each function with its new code; below the one statement that changed, with new lines."""
    found = []
    for function, path in placed:
        if path is None:
            if isolated.delta and function.__code__.co_firstlineno > isolated.last:
                found.append((function, _moved(function.__code__, isolated.delta)))
            continue
        if any(path[:length] in changed for length in range(len(path))):
            raise Unfit("a function exists whose surroundings changed")
        code = new[path]
        if code.co_freevars != function.__code__.co_freevars:
            raise Unfit("the free variables of " + code.co_name + " changed")
        found.append((function, code))
    return found


def _moved(code: CodeType, delta: int) -> CodeType:
    """The code, and what is nested in it, so many lines further down."""
    consts = tuple(
        _moved(const, delta) if isinstance(const, CodeType) else const for const in code.co_consts
    )
    return code.replace(co_firstlineno=code.co_firstlineno + delta, co_consts=consts)


def _common(path: Path, old: Dict[Path, CodeType], new: Dict[Path, CodeType]) -> Path:
    """The innermost code around the path, itself included, that is in both."""
    while path not in old or path not in new:
        path = path[:-1]
    return path


def _outermost(paths: Set[Path]) -> Set[Path]:
    """Without those inside another one: what is nested in a function that did not run does not
    exist yet."""
    return {p for p in paths if not any(p[:length] in paths for length in range(len(p)))}


def _alike(old: Any, new: Any) -> bool:
    """Whether two codes do the same, what is nested in them and their lines aside."""
    return old is not None and new is not None and _essence(old) == _essence(new)


def _essence(code: CodeType) -> Any:
    return (
        *(code.co_name, code.co_code, code.co_names, code.co_varnames, code.co_freevars),
        *(code.co_cellvars, code.co_argcount, code.co_kwonlyargcount, code.co_posonlyargcount),
        *(code.co_flags, getattr(code, "co_exceptiontable", b"")),
        tuple(_constant(const) for const in code.co_consts),
    )


def _constant(value: Any) -> Any:
    """What tells constants apart that are equal and not the same: 1, 1.0 and True."""
    if isinstance(value, CodeType):
        return CodeType
    if isinstance(value, tuple):
        return tuple, tuple(_constant(one) for one in value)
    if isinstance(value, frozenset):
        return frozenset, frozenset(_constant(one) for one in value)
    return type(value), repr(value)


def _signature(code: CodeType) -> Any:
    count = code.co_argcount + code.co_kwonlyargcount
    count += bin(code.co_flags & _VARIABLE).count("1")
    first = code.co_consts[0] if code.co_consts else None
    return (
        *(code.co_argcount, code.co_kwonlyargcount, code.co_posonlyargcount),
        *(code.co_varnames[:count], code.co_flags & _KIND, code.co_freevars, code.co_name),
        first if isinstance(first, str) else None,
    )
