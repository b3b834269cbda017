"""Evaluate JMESPath expressions with a limit on their work, so that none can hold up or exhaust the server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import jmespath
from jmespath import exceptions, functions
from jmespath.parser import ParsedResult
from jmespath.visitor import Options, TreeInterpreter

if TYPE_CHECKING:
    from jmespath.visitor import _TreeNode as Node

MAX_LENGTH = 2_000  # characters of an expression
MAX_DEPTH = 50  # of its syntax tree; each level takes some frames of Python's stack
MAX_STEPS = 250_000  # of all expressions for one delivery: under half a second
CHARACTERS_A_STEP = 32

_NUMBERS = (int, float)
# What jmespath 1.1 raises for values that a function or operator cannot take, beside its own errors: for example
# OverflowError for the ceil() of Infinity, ValueError for a slice in steps of 0.
_FAILURES = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError)

_READ_ALL = ("to_string", "join", "sort", "max", "min")  # the other functions read only the members of an argument


class ExpressionError(Exception):
    """An expression that is not valid, cannot be evaluated for a payload, or gives a value of the wrong type.

    The message says what is wrong after the words "the expression", and repeats no value of the payload.
    """


class Budget:
    """The steps that the expressions for one delivery may still take."""

    def __init__(self, steps: int = MAX_STEPS):
        self.remaining = steps

    def spend(self, steps: int) -> None:
        """Take steps from the budget.

        :raises ExpressionError: if there are not enough.
        """
        self.remaining -= steps
        if self.remaining < 0:
            raise ExpressionError("takes too much work for this payload: select less of it")

    def spend_for(self, value: Any) -> None:
        """Take the steps for reading a text, or the members of an array or object, once."""
        if isinstance(value, str):
            self.spend(1 + len(value) // CHARACTERS_A_STEP)
        elif isinstance(value, list | dict):
            self.spend(1 + len(value))

    def spend_for_all(self, value: Any) -> None:
        """Take the steps for reading a value with everything in it. A value that is in it twice counts twice."""
        pending = [value]
        while pending:
            current = pending.pop()
            self.spend_for(current)
            if isinstance(current, list):
                pending.extend(current)
            elif isinstance(current, dict):
                pending.extend(current)
                pending.extend(current.values())


class _Functions(functions.Functions):
    """The functions of JMESPath, and `lower`, `split` and `replace` as JMESPath Community defines them."""

    def __init__(self, budget: Budget):
        super().__init__()
        self._budget = budget

    def call_function(self, function_name: str, resolved_args: Iterable[Any]) -> Any:
        """Call a function after taking the steps that it needs."""
        arguments = list(resolved_args)
        reads_all = function_name in _READ_ALL or (
            function_name == "contains" and isinstance(arguments[-1], list | dict)
        )
        for argument in arguments:
            (self._budget.spend_for_all if reads_all else self._budget.spend_for)(argument)
        return super().call_function(function_name, arguments)

    @functions.signature({"types": ["string"]}, {"types": ["array-string"]})
    def _func_join(self, separator: str, texts: list[str]) -> str:
        self._budget.spend(len(separator) * len(texts) // CHARACTERS_A_STEP)
        return separator.join(texts)

    @functions.signature({"types": ["string"]})
    def _func_lower(self, text: str) -> str:
        return text.lower()

    @functions.signature({"types": ["string"]}, {"types": ["string"]})
    def _func_split(self, text: str, separator: str) -> list[str]:
        if not separator:
            raise ExpressionError("split() needs a separator that is not empty")
        self._budget.spend(text.count(separator) + 1)
        return text.split(separator)

    @functions.signature({"types": ["string"]}, {"types": ["string"]}, {"types": ["string"]})
    def _func_replace(self, text: str, old: str, new: str) -> str:
        self._budget.spend((text.count(old) + 1) * (len(new) + 1) // CHARACTERS_A_STEP)
        return text.replace(old, new)


class Interpreter(TreeInterpreter):
    """Evaluates parsed expressions, and takes each step from one budget."""

    def __init__(self, budget: Budget):
        super().__init__(Options(custom_functions=_Functions(budget)))
        self._budget = budget

    def evaluate(self, expression: ParsedResult, value: Any) -> Any:
        """Return what an expression gives for a value.

        :raises ExpressionError: if it cannot be evaluated, or the budget is spent.
        """
        try:
            return self.visit(expression.parsed, value)
        except exceptions.JMESPathTypeError as wrong:
            expected = " or ".join(wrong.expected_types)
            raise ExpressionError(
                f"calls {wrong.function_name}() with a value of type {_type(wrong)}, but it takes {expected}"
            ) from None
        except exceptions.JMESPathError:
            raise ExpressionError("cannot be evaluated for this payload") from None
        except RecursionError:
            raise ExpressionError("nests too deeply for this payload") from None
        except _FAILURES:
            raise ExpressionError("uses a function or operator on a value that it does not take") from None

    def visit(self, node: Node, *args: Any, **kwargs: Any) -> Any:
        """Return what a node of the syntax tree gives, for one step."""
        self._budget.spend(1)
        return super().visit(node, *args, **kwargs)

    def visit_comparator(self, node: Node, value: Any) -> Any:
        """Compare two values. Ordering is for two numbers or two texts, and null for all others."""
        left, right = (self.visit(child, value) for child in node["children"])
        if isinstance(right, str | list | dict):
            self._budget.spend_for_all(left)
        if node["value"] in ("eq", "ne") or _same_order(left, right):
            return self.COMPARATOR_FUNC[node["value"]](left, right)
        return None

    def visit_flatten(self, node: Node, value: Any) -> Any:
        """Flatten an array of arrays."""
        base = self.visit(node["children"][0], value)
        if not isinstance(base, list):
            return None
        self._budget.spend_for(base)
        self._budget.spend(sum(len(item) for item in base if isinstance(item, list)))
        return [part for item in base for part in (item if isinstance(item, list) else [item])]

    def visit_slice(self, node: Node, value: Any) -> Any:
        """Take a part of an array."""
        self._budget.spend_for(value)
        return super().visit_slice(node, value)


def parse(text: str) -> ParsedResult:
    """Return an expression, parsed.

    :raises ExpressionError: if it is not valid, calls an unknown function, or is too long or too deep.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"is too long: at most {MAX_LENGTH:,} characters")
    try:
        parsed = jmespath.compile(text)
    except exceptions.JMESPathError as wrong:
        raise ExpressionError(_syntax_error(wrong)) from None
    except RecursionError:
        raise ExpressionError("nests too deeply") from None
    except _FAILURES:
        raise ExpressionError("is not a valid JMESPath expression") from None
    for node, depth in _nodes(parsed.parsed):
        if depth > MAX_DEPTH:
            raise ExpressionError("nests too deeply")
        if node["type"] == "function_expression":
            _check_call(node["value"], len(node["children"]))
    return parsed


def is_true(value: Any) -> bool:
    """Return whether JMESPath takes a value for true: all but false, null and what is empty. 0 is true."""
    return not (value is None or value is False or value in ("", [], {}))


def _check_call(name: str, count: int) -> None:
    table: dict[str, Any] = _Functions.FUNCTION_TABLE
    if name not in table:
        raise ExpressionError(f"calls {name}(), which is not a function of JMESPath")
    signature: Sequence[dict[str, Any]] = table[name]["signature"]
    if count < len(signature) or (count > len(signature) and not signature[-1].get("variadic")):
        arguments = "1 argument" if count == 1 else f"{count} arguments"
        raise ExpressionError(f"calls {name}() with {arguments}, but it takes {len(signature)}")


def _nodes(tree: Node) -> Iterator[tuple[Node, int]]:
    """Yield each node of a syntax tree with its depth."""
    pending = [(tree, 1)]
    while pending:
        node, depth = pending.pop()
        yield node, depth
        # The children of a slice are numbers or None.
        pending.extend((child, depth + 1) for child in node["children"] if isinstance(child, dict))


def _same_order(left: Any, right: Any) -> bool:
    if isinstance(left, str) or isinstance(right, str):
        return isinstance(left, str) and isinstance(right, str)
    return all(isinstance(value, _NUMBERS) and not isinstance(value, bool) for value in (left, right))


def _syntax_error(wrong: exceptions.JMESPathError) -> str:
    if isinstance(wrong, exceptions.EmptyExpressionError):
        return "is empty"
    if isinstance(wrong, exceptions.IncompleteExpressionError):
        return "is not complete: something is missing at its end"
    if isinstance(wrong, exceptions.ParseError):
        return f"has a syntax error at character {wrong.lex_position + 1}"
    return "is not a valid JMESPath expression"


def _type(wrong: exceptions.JMESPathTypeError) -> str:
    """Return the type of the value in JMESPath's words. jmespath names types of items as Python does."""
    name = str(wrong.actual_type)
    return str(functions.TYPES_MAP.get(name, name))
