"""The index answers what asking every declaration in order of precedence would."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from extauthz.policy.index import Index, Parameter, Template, parse_template

SEGMENTS = st.sampled_from(["a", "b", "c", ""])
HOSTS = st.sampled_from(["x.example.com", "y.example.com", "*.example.com", "*.com", "example.com"])
METHODS = st.sampled_from(["GET", "HEAD", "PUT"])


@st.composite
def templates(draw: st.DrawFn) -> Template:
    """Return a template of few literals, so that they often overlap."""
    count = draw(st.integers(1, 4))
    steps = [draw(st.sampled_from(["a", "b", f"{{p{position}}}"])) for position in range(count)]
    last = draw(st.sampled_from(["", "a", "{last}", "{last=**}", None]))
    return parse_template("/" + "/".join([*steps, *([] if last is None else [last])]))


Declared = tuple[str, Template, str]
DECLARATIONS = st.lists(st.tuples(HOSTS, templates(), METHODS), max_size=12)
REQUESTS = st.tuples(
    st.sampled_from(["x.example.com", "y.example.com", "z.example.com", "example.com", "localhost"]),
    st.lists(SEGMENTS, min_size=1, max_size=5).map(tuple),
    METHODS,
)


def index_of(declarations: list[Declared]) -> Index[Declared]:
    """Return an index whose entries are the declarations themselves."""
    index: Index[Declared] = Index()
    for each in declarations:
        index.add(*each, each)
    return index


def rank(declared: Declared, host: str, segments: tuple[str, ...]) -> tuple[object, ...] | None:
    """Return how specific a declaration is for a request, smaller first; None when it does not match."""
    pattern, template, _ = declared
    if pattern != host and ("." not in host or pattern != f"*.{host.split('.', 1)[1]}"):
        return None
    ranks: list[int] = []
    for position, step in enumerate(template.steps):
        if position >= len(segments):
            return None
        if isinstance(step, Parameter):
            if not segments[position]:
                return None
            ranks.append(2 if step.rest else 1)
            if step.rest:
                return (pattern != host, *ranks)
        elif step != segments[position]:
            return None
        else:
            ranks.append(0)
    return (pattern != host, *ranks) if len(template.steps) == len(segments) else None


def obvious(
    declarations: list[Declared], host: str, segments: tuple[str, ...], method: str
) -> tuple[object, ...] | None:
    """Return the rank of the most specific declaration that answers the method."""
    ranks = [
        (*place, 0 if declared[2] == method else 1)
        for declared in declarations
        if declared[2] == method or (method == "HEAD" and declared[2] == "GET")
        if (place := rank(declared, host, segments)) is not None
    ]
    return min(ranks, default=None)


@given(DECLARATIONS, REQUESTS)
def test_the_index_finds_the_most_specific_declaration(
    declarations: list[Declared], request: tuple[str, tuple[str, ...], str]
) -> None:
    """For overlapping hosts, templates and methods the answer is that of the obvious search."""
    host, segments, method = request
    index = index_of(declarations)
    found = index.find(host, segments, method)
    expected = obvious(declarations, host, segments, method)
    if found is None:
        assert expected is None
    else:
        place = rank(found, host, segments)
        assert place is not None
        assert (*place, 0 if found[2] == method else 1) == expected


@given(DECLARATIONS, REQUESTS)
def test_methods_are_those_that_would_be_found(
    declarations: list[Declared], request: tuple[str, tuple[str, ...], str]
) -> None:
    """What a 405 lists is what would have been routed, no more and no less."""
    host, segments, _ = request
    index = index_of(declarations)
    findable = {method for method in ("GET", "HEAD", "PUT") if index.find(host, segments, method) is not None}
    assert set(index.methods(host, segments)) == findable


@given(DECLARATIONS)
def test_order_makes_no_difference(declarations: list[Declared]) -> None:
    """Whoever writes a resource first has no advantage, where no two stand for the same requests."""
    different = list(
        {(host, template.shape, method): (host, template, method) for host, template, method in declarations}.values()
    )
    forward, backward = index_of(different), index_of(different[::-1])
    for host, template, method in different:
        path = tuple(step if isinstance(step, str) else "z" for step in template.steps)
        name = host.replace("*", "w")
        assert forward.find(name, path, method) == backward.find(name, path, method)
