"""What a Python file defines and imports, told from its syntax tree, however half-written it is.

tree-sitter goes on behind an error where `ast` gives up, and takes 10 ms for 2,600 lines where
parso, which does too, takes 115 (one core of a shared machine).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache

import tree_sitter_python
from tree_sitter import Language, Node, Parser

_WHOLE = 10  # lines of a definition that is shown with its body
_MEMBERS = 20  # of a class that are shown
# Of a definition whose body is half-written; the tree has nothing but its words.
_HEADER = re.compile(
    r"^(?:(?:async[ ]+)?def[ ]+(?P<function>\w+)\s*\([^()]*\)[^\n:]*:"
    r"|class[ ]+(?P<class>\w+)[^\n:]*:)",
    re.MULTILINE,
)
_SPACE = re.compile(r"\s+")
_LONGEST = 160  # characters of a module's value that is shown


@dataclass(frozen=True, slots=True)
class Definition:
    """A function, a class or a value of a module.

    header: its first line, a signature of many lines put into one. doc: the first line of its
    docstring. text: all of it. members: of a class.
    """

    name: str
    header: str
    doc: str = ""
    text: str = ""
    members: tuple[Definition, ...] = ()

    def shown(self) -> str:
        """What a caller has to know of it: whole where it is short, else without bodies."""
        if self.text.count("\n") < _WHOLE:
            return self.text
        doc = f'\n    """{self.doc}"""' if self.doc else ""
        if not self.members:
            return f"{self.header}{doc}\n    ..."
        inner = "".join(f"\n    {m.header}" + m.rest for m in self.members[:_MEMBERS])
        return f"{self.header}{doc}{inner}"

    @property
    def rest(self) -> str:
        """What stands for the body behind the header in an outline."""
        return " ..." if self.header.endswith(":") else ""


@dataclass(frozen=True, slots=True)
class Import:
    """`from module import name as alias`; name is '' in `import module as alias`, '*' for all.

    module: with the dots of a relative import. alias: what it is called here. `import a.b` calls
    `a` what it is.
    """

    module: str
    name: str
    alias: str


@dataclass(frozen=True, slots=True)
class Module:
    """A file's definitions and imports by the name they have in it. imports: the lines."""

    definitions: dict[str, Definition] = field(default_factory=dict)
    imported: dict[str, Import] = field(default_factory=dict)
    stars: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()

    def outline(self) -> str:
        """Imports and signatures, a line each."""
        lines = list(self.imports)
        for definition in self.definitions.values():
            lines.append(definition.header + definition.rest)
            lines += [f"    {member.header}{member.rest}" for member in definition.members]
        return "".join(f"{line}\n" for line in lines)


@lru_cache(maxsize=256)
def module(source: str) -> Module:
    """Does not promise anything about code behind an error, but that it raises nothing."""
    found = Module()
    stars: list[str] = []
    lines: list[str] = []
    root = _parser().parse(source.encode("utf-8", "replace")).root_node
    for node in _statements(root):
        if node.type.startswith("import"):
            lines.append(_line(node))
            for made in _imports(node):
                if made.name == "*":
                    stars.append(made.module)
                else:
                    found.imported[made.alias] = made
        elif definition := _definition(node):
            found.definitions[definition.name] = definition
    if root.has_error:
        for header in _HEADER.finditer(source):
            line = _one_line(header.group().encode())
            lost = Definition(header["function"] or header["class"], line, text=f"{line}\n    ...")
            found.definitions.setdefault(lost.name, lost)
    return Module(found.definitions, found.imported, tuple(stars), tuple(lines))


@cache
def _parser() -> Parser:
    return Parser(Language(tree_sitter_python.language()))


def _statements(node: Node) -> Iterator[Node]:
    """The statements of a module; those under `if`, `try` and errors too."""
    for child in node.named_children:
        if child.type in _NESTING:
            yield from _statements(child)
        else:
            yield child


_NESTING = frozenset(
    ("ERROR", "if_statement", "else_clause", "try_statement", "except_clause", "block")
)


def _definition(node: Node) -> Definition | None:
    inner = node.child_by_field_name("definition") if node.type == "decorated_definition" else node
    if inner is None:
        return None
    if inner.type in ("function_definition", "class_definition"):
        return _named(inner, node)
    return _value(node) if node.type == "expression_statement" else None


def _named(node: Node, whole: Node) -> Definition | None:
    name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
    if name is None or body is None:
        return None
    source = node.text or b""
    header = _one_line(source[: body.start_byte - node.start_byte])
    # A comment between the header and the body is in neither.
    header = header.partition("  #")[0] if "  #" in header else header
    return Definition(
        name=_text(name),
        header=header.rstrip(),
        doc=_doc(body),
        text=_dedented(whole),
        members=tuple(_members(body)) if node.type == "class_definition" else (),
    )


def _members(body: Node) -> Iterator[Definition]:
    for child in _statements(body):
        made = _definition(child)
        if made:
            yield made


def _value(node: Node) -> Definition | None:
    """`NAME = value` or `name: type = value`, where it fits a line."""
    assignment = node.named_children[0] if node.named_children else None
    if assignment is None or assignment.type != "assignment":
        return None
    left = assignment.child_by_field_name("left")
    if left is None or left.type != "identifier":
        return None
    line = _line(node)
    if len(line) > _LONGEST:
        line = line[:_LONGEST] + " ..."
    return Definition(_text(left), line, text=line)


def _doc(body: Node) -> str:
    first = body.named_children[0] if body.named_children else None
    if first is None or first.type != "expression_statement" or not first.named_children:
        return ""
    string = first.named_children[0]
    if string.type != "string":
        return ""
    inner = [child for child in string.named_children if child.type == "string_content"]
    return _text(inner[0]).strip().partition("\n")[0].strip() if inner else ""


def _imports(node: Node) -> Iterator[Import]:
    origin = node.child_by_field_name("module_name")
    source = _text(origin).replace(" ", "") if origin else ""
    if any(child.type == "wildcard_import" for child in node.children):
        yield Import(source, "*", "*")
    for child in node.children_by_field_name("name"):
        name, alias = child, child
        if child.type == "aliased_import":
            name = child.child_by_field_name("name") or child
            alias = child.child_by_field_name("alias") or child
        if origin:
            yield Import(source, _text(name), _text(alias))
        elif name is alias:
            top = _text(name).partition(".")[0]
            yield Import(top, "", top)
        else:
            yield Import(_text(name), "", _text(alias))


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")


def _line(node: Node) -> str:
    return _one_line(node.text or b"")


def _one_line(text: bytes) -> str:
    line = _SPACE.sub(" ", text.decode("utf-8", "replace")).strip()
    return line.replace("( ", "(").replace(", )", ")").replace(" )", ")")


def _dedented(node: Node) -> str:
    """The node's text with its own first column as the first."""
    column = node.start_point.column
    first, *others = _text(node).split("\n")
    return "\n".join(
        [first, *(line[column:] if line[:column].isspace() else line for line in others)]
    )
