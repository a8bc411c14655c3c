"""Reads constants and functions that build a text from Python source, without running it.

A prompt often lies in a Python file, beside code that nobody wants to run for it. Here its syntax tree is read. Only
operations on texts, lists and dicts are known; anything else is an error that names the line.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from string import Formatter
from textwrap import dedent
from typing import Any

from cxr_rewards.errors import ConfigError, shorten

_METHODS: Mapping[type, frozenset[str]] = {
    str: frozenset(
        (
            *("capitalize", "lower", "title", "upper"),
            *("endswith", "startswith"),
            *("format", "join", "replace", "split", "splitlines"),
            *("lstrip", "removeprefix", "removesuffix", "rstrip", "strip"),
        )
    ),
    list: frozenset(("append", "extend")),
    dict: frozenset(("get", "items", "keys", "values")),
}
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "dedent": dedent,
    "dict": dict,
    "enumerate": enumerate,
    "len": len,
    "list": list,
    "str": str,
    "zip": zip,
}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
    ast.Is: lambda a, b: a is b,
    ast.IsNot: lambda a, b: a is not b,
}
_MOST_STEPS = 100_000
_ITSELF = object()
"""Stands for the object that a method is called on."""


class _Return(Exception):  # noqa: N818 - not an error
    def __init__(self, value: Any) -> None:
        self.value = value


class TextCode:
    r"""Constants and functions of one Python file.

    Raises:
        ConfigError: the file is not Python.

    Example:
        >>> code = TextCode("example.py", "HELLO = 'Hello, '\ndef greet(name):\n    return f'{HELLO}{name.strip()}!'")
        >>> code.constant("HELLO"), code.call("greet", " you ")
        ('Hello, ', 'Hello, you!')
    """

    def __init__(self, where: str, source: str) -> None:
        self.where = where
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError) as error:
            raise ConfigError(f"{where}: is not Python: {error}") from None
        self._functions: dict[str, ast.FunctionDef] = {}
        self._assigned: dict[str, ast.expr] = {}
        self._known: dict[str, Any] = {}
        self._steps = 0
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                self._functions.setdefault(node.name, node)
        for name, value in _assignments(tree.body):
            self._assigned[name] = value
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                for name, value in _assignments(node.body):
                    self._assigned.setdefault(name, value)

    @property
    def functions(self) -> Mapping[str, Sequence[str]]:
        """Names of the parameters of each function and method, without `self`."""
        return {name: _parameters(function) for name, function in self._functions.items()}

    def constant(self, name: str) -> Any:
        """Return the value of a name that the file, or a class in it, assigns.

        Raises:
            ConfigError: there is no such name, or its value is not made of texts, lists and dicts.
        """
        if name not in self._known:
            if name not in self._assigned:
                raise ConfigError(f"{self.where}: there is no {name}")
            self._steps = 0
            self._known[name] = self._value(self._assigned[name], {})
        return self._known[name]

    def call(self, name: str, *values: Any, **named: Any) -> Any:
        """Return what a function or method returns for these values of its parameters.

        Raises:
            ConfigError: there is no such function, or it does something that is not known here.
        """
        self._steps = 0
        return self._call(name, values, named)

    def _call(self, name: str, values: Sequence[Any], named: Mapping[str, Any]) -> Any:
        if name not in self._functions:
            raise ConfigError(f"{self.where}: there is no function {name}")
        function = self._functions[name]
        parameters = _parameters(function)
        defaults = function.args.defaults
        scope = {
            key: self._value(value, {})
            for key, value in zip(parameters[len(parameters) - len(defaults) :], defaults, strict=False)
        }
        scope |= {"self": _ITSELF, **dict(zip(parameters, values, strict=False)), **named}
        if (missing := [key for key in parameters if key not in scope]) or len(values) > len(parameters):
            raise ConfigError(
                f"{self.where}: {name} takes {', '.join(parameters)}; missing: {', '.join(missing) or '-'}"
            )
        try:
            self._run(function.body, scope)
        except _Return as done:
            return done.value
        return None

    def _run(self, body: Sequence[ast.stmt], scope: dict[str, Any]) -> None:
        for statement in body:
            match statement:
                case ast.Return(value=None):
                    raise _Return(None)
                case ast.Return(value=ast.expr() as value):
                    raise _Return(self._value(value, scope))
                case ast.Assign(targets=[target], value=value):
                    _bind(target, self._value(value, scope), scope)
                case ast.AnnAssign(target=ast.Name() as target, value=ast.expr() as value):
                    _bind(target, self._value(value, scope), scope)
                case ast.AugAssign(target=ast.Name() as target, op=ast.Add(), value=value):
                    scope[target.id] = self._value(target, scope) + self._value(value, scope)
                case ast.If(test=test):
                    self._run(statement.body if self._value(test, scope) else statement.orelse, scope)
                case ast.For(target=target, iter=items, orelse=[]):
                    for item in self._value(items, scope):
                        _bind(target, item, scope)
                        self._run(statement.body, scope)
                case ast.Expr(value=value):
                    self._value(value, scope)
                case ast.Pass():
                    pass
                case _:
                    raise self._unknown(statement)

    def _value(self, node: ast.expr, scope: Mapping[str, Any]) -> Any:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise ConfigError(f"{self.where}, line {node.lineno}: takes too many steps")
        try:
            return self._evaluated(node, scope)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError, RecursionError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"{self.where}, line {node.lineno}: {type(error).__name__}: {error}") from None

    def _evaluated(self, node: ast.expr, scope: Mapping[str, Any]) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return scope[name] if name in scope else self.constant(name)
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if scope.get(name) is _ITSELF:
                return self.constant(attribute)
            case ast.JoinedStr(values=values):
                return "".join(str(self._value(value, scope)) for value in values)
            case ast.FormattedValue(value=value, conversion=conversion, format_spec=None) if conversion in (-1, 115):
                return str(self._value(value, scope))
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self._value(left, scope) + self._value(right, scope)
            case ast.BinOp(left=left, op=ast.Mod(), right=right):
                return _percent(self._value(left, scope), self._value(right, scope))
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                return [self._value(element, scope) for element in elements]
            case ast.Dict(keys=keys, values=values) if None not in keys:
                pairs = zip(keys, values, strict=True)
                return {self._value(key, scope): self._value(value, scope) for key, value in pairs if key is not None}
            case ast.Subscript(value=value, slice=ast.Slice(lower=lower, upper=upper, step=None)):
                ends = (None if end is None else self._value(end, scope) for end in (lower, upper))
                return self._value(value, scope)[slice(*ends)]
            case ast.Subscript(value=value, slice=index):
                return self._value(value, scope)[self._value(index, scope)]
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self._value(body if self._value(test, scope) else orelse, scope)
            case ast.BoolOp(op=op, values=values):
                return self._joined(isinstance(op, ast.Or), values, scope)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not self._value(operand, scope)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self._value(operand, scope)
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
                return _COMPARISONS[type(op)](self._value(left, scope), self._value(right, scope))
            case ast.ListComp() | ast.GeneratorExp():
                return [self._value(node.elt, inner) for inner in self._scopes(node.generators, dict(scope))]
            case ast.Call(func=called, args=arguments, keywords=keywords):
                values = [self._value(argument, scope) for argument in arguments]
                named = {key.arg: self._value(key.value, scope) for key in keywords if key.arg is not None}
                return self._called(called, values, named, scope)
        raise self._unknown(node)

    def _joined(self, ends_at: bool, values: Sequence[ast.expr], scope: Mapping[str, Any]) -> Any:
        """Return the first value whose truth is `ends_at`, else the last: Python's `or` and `and`."""
        value: Any = None
        for node in values:
            value = self._value(node, scope)
            if bool(value) is ends_at:
                return value
        return value

    def _scopes(self, loops: Sequence[ast.comprehension], scope: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the variables of each turn of a comprehension."""
        if not loops:
            yield scope
            return
        for item in self._value(loops[0].iter, scope):
            inner = dict(scope)
            _bind(loops[0].target, item, inner)
            if all(self._value(condition, inner) for condition in loops[0].ifs):
                yield from self._scopes(loops[1:], inner)

    def _called(self, node: ast.expr, values: Sequence[Any], named: Mapping[str, Any], scope: Mapping[str, Any]) -> Any:
        match node:
            case ast.Name(id=name) if name in self._functions:
                return self._call(name, values, named)
            case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="textwrap"), attr=name) if name in _FUNCTIONS:
                return _FUNCTIONS[name](*values, **named)
            case ast.Attribute(value=ast.Name(id=name), attr=method) if scope.get(name) is _ITSELF:
                return self._call(method, values, named)
            case ast.Attribute(value=value, attr=method):
                of = self._value(value, scope)
                if method in _METHODS.get(type(of), ()):
                    if method == "format":
                        return _formatted(of, values, named)
                    return getattr(of, method)(*values, **named)
        raise self._unknown(node)

    def _unknown(self, node: ast.stmt | ast.expr) -> ConfigError:
        return ConfigError(
            f"{self.where}, line {node.lineno}: cannot be read without running it: {shorten(ast.unparse(node))}"
        )


def _assignments(body: Sequence[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names that statements assign, with their values; of `__init__`, the attributes of `self`."""
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value
            case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=name)], value=value):
                yield name, value
            case ast.FunctionDef(name="__init__"):
                yield from _assignments(statement.body)


def _parameters(function: ast.FunctionDef) -> list[str]:
    return [argument.arg for argument in function.args.args if argument.arg != "self"]


def _bind(target: ast.expr, value: Any, scope: dict[str, Any]) -> None:
    match target:
        case ast.Name(id=name):
            scope[name] = value
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            for element, part in zip(elements, list(value), strict=True):
                _bind(element, part, scope)
        case _:
            raise TypeError(f"cannot assign to {ast.unparse(target)}")


def _formatted(text: str, values: Sequence[Any], named: Mapping[str, Any]) -> str:
    """Return `text.format(...)`, of plain fields only: a field can reach into an object and run its code."""
    for _, field, spec, conversion in Formatter().parse(text):
        if field is not None and (spec or conversion or not (field == "" or field.isdigit() or field.isidentifier())):
            raise ValueError(f"unknown field {field!r} of a format")
    return text.format(*values, **named)


def _percent(text: str, values: Any) -> str:
    """Return `text % values`, of `%s` alone."""
    if not isinstance(text, str) or "%" in re.sub("%[s%]", "", text):
        raise ValueError("only %s is known")
    return text % (tuple(values) if isinstance(values, list) else values)
