"""What the text below a field of a Struct says of it: in Python such text is for readers of the source alone."""

from __future__ import annotations

import ast
import functools
import inspect
import sys

import msgspec


def field_descriptions(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The description of each field by its name in JSON, its bases included; a field without one is missing."""
    found: dict[str, str] = {}
    for base in reversed(struct.__mro__):
        found |= _of_module(base.__module__).get(base.__name__, {})
    written = zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True)
    return {encoded: found[name] for name, encoded in written if name in found}


@functools.cache
def _of_module(name: str) -> dict[str, dict[str, str]]:
    """By class and field. None of a module that isn't ours: nothing there is a message."""
    if not name.startswith(__package__ or ""):
        return {}
    tree = ast.parse(inspect.getsource(sys.modules[name]))
    return {node.name: _of_class(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _of_class(node: ast.ClassDef) -> dict[str, str]:
    found = {}
    for field, below in zip(node.body, node.body[1:], strict=False):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = inspect.cleandoc(text)
    return found
