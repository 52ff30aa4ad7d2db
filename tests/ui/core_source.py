"""A file of Python as a tree: its functions, what sets a name, and which expressions are texts."""

import ast
from collections.abc import Iterator
from pathlib import Path


class Module:
    """A file of core, with its functions, constants and imports by name."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.name = path.relative_to(folder).as_posix()
        self.tree = ast.parse(path.read_text("utf-8"))
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}
        functions = (node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef))
        self.functions = {function.name: function for function in functions}
        self.constants = {
            target.id: node.value
            for node in self.tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }

    def function_of(self, node: ast.AST) -> ast.FunctionDef | None:
        """The function that a node stands in."""
        return next((above for above in self._ancestors(node) if isinstance(above, ast.FunctionDef)), None)

    def settings(self, function: ast.FunctionDef, name: ast.Name) -> list[ast.AST]:
        """Steps before a name's use that may have set it: from the last one on that certainly has."""
        found: list[ast.AST] = []
        around = set(self._ancestors(name))
        for step in ast.walk(function):
            loop = isinstance(step, (ast.For, ast.comprehension))
            if isinstance(step, ast.comprehension) and self.parents[step] not in around:
                continue  # its names are its own
            if loop or (isinstance(step, (ast.Assign, ast.AugAssign)) and step.lineno < name.lineno):
                targets = step.targets if isinstance(step, ast.Assign) else [step.target]
                if sets(targets, name.id):
                    found.append(step)
        found.sort(key=lambda step: getattr(step, "lineno", name.lineno))
        certain = [i for i, step in enumerate(found) if isinstance(step, ast.Assign) and self.parents[step] in around]
        return found[certain[-1] :] if certain else found

    def _ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        while node in self.parents:
            node = self.parents[node]
            yield node

    def held(self, name: str) -> Iterator[ast.AST]:
        """What a function or a value of a name says, and what is handed to it or to its methods."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef) and node.name == name:
                yield from (inner for step in node.body[1:] for inner in ast.walk(step))
            elif isinstance(node, ast.Assign) and sets(node.targets, name):
                values = node.value.values if isinstance(node.value, ast.Dict) else [node.value]
                yield from (inner for value in values for inner in ast.walk(value))
            elif isinstance(node, ast.arguments) and node.defaults:
                given = zip(node.args[-len(node.defaults) :], node.defaults, strict=True)
                yield from (value for argument, value in given if argument.arg == name)
            elif isinstance(node, ast.Call) and any(
                is_name(part, name) for part in (node.func, getattr(node.func, "value", None))
            ):
                yield from (value for value in node.args if is_text(value) or isinstance(value, ast.Name))

    def spoken(self) -> Iterator[ast.expr]:
        """Outermost expressions that may be texts: no docstrings, and no keys of what they are told apart by."""
        inner: set[ast.AST] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                inner.add(node.value)
            if node in inner or isinstance(node, (ast.JoinedStr, ast.BinOp)):
                inner.update(ast.iter_child_nodes(node))
            if node not in inner and is_text(node):
                yield node


def is_name(node: ast.AST | None, name: str) -> bool:
    """Whether an expression is a name."""
    return isinstance(node, ast.Name) and node.id == name


def sets(targets: list[ast.expr], name: str) -> bool:
    """Whether a name is among what is set, also within a tuple."""
    return any(is_name(part, name) for target in targets for part in ast.walk(target))


def is_text(node: ast.AST) -> bool:
    """Whether an expression is written as a text."""
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Add) and (is_text(node.left) or is_text(node.right))
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
