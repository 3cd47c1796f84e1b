"""A process that runs templates in Jinja, walled in: `python -m postlane.mail.sandbox`.

Jinja's own sandbox keeps a template from the interpreter. It does not keep it from taking a
minute or a gigabyte, for which one expression is enough; so the process has limits of the
operating system's, and whoever keeps it is not hurt when it ends.

Requests and answers are MessagePack, each behind its length in four bytes.
"""

import math
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, BinaryIO, NoReturn

import msgspec
from jinja2 import TemplateError, TemplateSyntaxError, nodes
from jinja2.environment import Template
from jinja2.exceptions import SecurityError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from .templating import (
    CONTENT,
    MAX_OUTPUT_BYTES,
    TOO_LARGE,
    Layer,
    Part,
    Syntax,
    Unrenderable,
    folded,
    render_braces,
    render_layers,
)

CPU_SECONDS = 0.25
"""For one recipient's message; usual ones take a thousandth of it."""
GRACE_SECONDS = 1
"""What an expression that cannot be interrupted may take beyond that."""
MEMORY_BYTES = 384 * 2**20
DESCRIPTORS = 16
"""For what the interpreter still has to import."""
MAX_NESTING = 40
"""Constructs within each other."""
LARGEST_SEQUENCE = 1_000_000
"""Of what multiplying makes."""
LARGEST_POWER = 64

TOO_LONG = "It takes too long."
TOO_MUCH = "It takes too much memory."
TOO_DEEP = "It is nested too deeply."


class Request(msgspec.Struct, array_like=True):
    """What is asked: to render for everybody in *values*, or without any, to look at *layers*."""

    layers: list[Layer]
    values: list[dict[str, Any]] | None = None


class Failure(msgspec.Struct, array_like=True, tag="failure"):
    """Why one recipient's message cannot be rendered, or a layer cannot be read."""

    part: Part
    reason: str
    is_boundless: bool = False


class Made(msgspec.Struct, array_like=True, tag="made"):
    """One recipient's message."""

    subject: str | None
    html: str | None
    text: str | None


class Names(msgspec.Struct, array_like=True, tag="names"):
    """The names that a layer takes from outside."""

    names: list[str]


Answer = list[Failure | Made | Names]
"""One for each recipient, or for each layer."""


def _boundless(part: Part, reason: str) -> Unrenderable:
    return Unrenderable(part, reason, is_boundless=True)


class _TooLong(BaseException):
    """The time is over; no template can catch it."""


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Compute a product or a power, unless it is out of all proportion."""
        if operator == "**":
            if not isinstance(right, int) or abs(right) > LARGEST_POWER:
                raise SecurityError(f"a power is at most {LARGEST_POWER}")
        else:
            for value, times in ((left, right), (right, left)):
                is_repeated = isinstance(value, str | list | tuple) and isinstance(times, int)
                if is_repeated and len(value) * times > LARGEST_SEQUENCE:
                    raise SecurityError("a text or list that is repeated becomes too long")
        return super().call_binop(context, operator, left, right)

    def handle_exception(self, source: str | None = None) -> NoReturn:
        """Raise what was raised: nobody reads tracebacks of templates, and making them takes
        files."""
        raise


def _environment(*, autoescape: bool) -> _Environment:
    made = _Environment(autoescape=autoescape, keep_trailing_newline=True, cache_size=0)
    # The same values always make the same message: it may be made anew for each attempt.
    del made.filters["random"], made.globals["lipsum"]
    return made


_ESCAPING, _PLAIN = _environment(autoescape=True), _environment(autoescape=False)


def _env(part: Part) -> _Environment:
    return _ESCAPING if part is Part.HTML else _PLAIN


def _read(part: Part, source: str) -> nodes.Template:
    try:
        tree = _env(part).parse(source)
    except TemplateSyntaxError as error:
        raise Unrenderable(part, f"Line {error.lineno}: {error.message}.") from error
    for node in tree.find_all((nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)):
        raise Unrenderable(
            part, f"Line {node.lineno}: other templates are named as its layout only."
        )
    _check_depth(part, tree)
    return tree


def _check_depth(part: Part, tree: nodes.Node) -> None:
    waiting = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > MAX_NESTING:
            raise _boundless(part, TOO_DEEP)
        waiting += [(child, depth + 1) for child in node.iter_child_nodes()]


@lru_cache(maxsize=128)
def _compiled(part: Part, source: str) -> Template:
    environment = _env(part)
    return environment.from_string(_read(part, source))


def _render_jinja(part: Part, layer: Layer, values: Mapping[str, Any], content: str | None) -> str:
    given = dict(values)
    if content is not None:
        given[CONTENT] = Markup(content) if part is Part.HTML else content
    pieces: list[str] = []
    room = MAX_OUTPUT_BYTES
    try:
        for piece in _compiled(part, layer.source(part) or "").generate(given):
            pieces.append(piece)
            room -= len(piece)
            if room < 0:
                raise _boundless(part, TOO_LARGE)
    except TemplateError as error:
        reason = f"{error.message or type(error).__name__}."
        is_boundless = isinstance(error, SecurityError)
        raise Unrenderable(part, reason, is_boundless=is_boundless) from error
    return "".join(pieces)


def _render(part: Part, layer: Layer, values: Mapping[str, Any], content: str | None) -> str:
    if layer.syntax is Syntax.BRACES:
        return render_braces(part, layer, folded(values), content)
    try:
        return _render_jinja(part, layer, values, content)
    except Unrenderable:
        raise
    except RecursionError as error:
        raise _boundless(part, TOO_DEEP) from error
    except MemoryError as error:
        raise _boundless(part, TOO_MUCH) from error
    except _TooLong as error:
        raise _boundless(part, TOO_LONG) from error
    except Exception as error:  # a template is a stranger's program: anything may go wrong
        reason = f"{type(error).__name__}: {error}."
        is_boundless = isinstance(error, OverflowError)
        raise Unrenderable(part, reason, is_boundless=is_boundless) from error


def _names(layer: Layer) -> list[str]:
    found: set[str] = set()
    for part in Part:
        if (source := layer.source(part)) is not None:
            try:
                found |= find_undeclared_variables(_read(part, source))
                _compiled(part, source)
            except (RecursionError, MemoryError, SyntaxError, OverflowError) as error:
                raise _boundless(part, TOO_DEEP) from error
            except _TooLong as error:
                raise _boundless(part, TOO_LONG) from error
            except TemplateError as error:
                raise Unrenderable(part, f"{error.message}.") from error
    return sorted(found)


def _timed(make: Callable[[], Made | Names]) -> Failure | Made | Names:
    """Return what *make* returns, or why it does not come to an end."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    used = math.ceil(spent.ru_utime + spent.ru_stime + CPU_SECONDS)
    # Where no exception gets through, the system ends the process: it counts whole seconds.
    resource.setrlimit(resource.RLIMIT_CPU, (used + GRACE_SECONDS, resource.RLIM_INFINITY))
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    try:
        return make()
    except Unrenderable as error:
        return Failure(error.part, error.reason[:500], error.is_boundless)
    except (_TooLong, MemoryError, RecursionError) as error:
        reason = TOO_LONG if isinstance(error, _TooLong) else TOO_MUCH
        return Failure(Part.HTML, reason, True)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def answer(request: Request) -> Answer:
    """Return what is asked for, each under its own limits."""
    if request.values is None:
        return [_timed(lambda each=layer: Names(_names(each))) for layer in request.layers]  # type: ignore[misc]
    return [_timed(lambda each=values: _made(request.layers, each)) for values in request.values]  # type: ignore[misc]


def _made(layers: Sequence[Layer], values: Mapping[str, Any]) -> Made:
    made = render_layers(layers, values, _render)
    return Made(made.subject, made.html, made.text)


def _wall_in() -> None:
    """Leave the process a processor, some memory, and nothing to write to but its pipe."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    signal.signal(signal.SIGPROF, _stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _stop(signum: int, frame: object) -> None:
    raise _TooLong


def requests(pipe: BinaryIO) -> Iterator[Request]:
    """Yield what is asked until nobody is left to ask."""
    decoder = msgspec.msgpack.Decoder(Request)
    while len(head := pipe.read(4)) == 4:
        yield decoder.decode(pipe.read(int.from_bytes(head, "big")))


def main() -> None:
    """Answer requests from the standard input on the standard output."""
    encoder = msgspec.msgpack.Encoder()
    # The first template takes longer than others: what it needs is imported and compiled now.
    warm = Layer(Syntax.JINJA, "{{ a }}", "{% for b in a %}{{ b }}{% endfor %}")
    _wall_in()
    answer(Request([warm], [{"a": [1]}]))
    for request in requests(sys.stdin.buffer):
        octets = encoder.encode(answer(request))
        sys.stdout.buffer.write(len(octets).to_bytes(4, "big") + octets)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
