"""Which declaration a request means."""

from __future__ import annotations

import pytest

from extauthz.policy.index import Index, is_host_pattern, parse_template


def index_of(*declarations: tuple[str, str, str]) -> Index[str]:
    """Return an index whose entries are `host path method` as written."""
    built: Index[str] = Index()
    for host, path, method in declarations:
        built.add(host, parse_template(path), method, f"{host}{path}")
    return built


def find(index: Index[str], method: str, url: str) -> str | None:
    """Return what a request means."""
    host, _, rest = url.partition("/")
    return index.find(host, tuple(rest.split("/")), method)


@pytest.mark.parametrize(
    ("url", "entry"),
    [
        ("h/a/b", "h/a/b"),
        ("h/a/x", "h/a/{p}"),
        ("h/x/b", "h/{p}/b"),
        ("h/x/y", "h/{r=**}"),
        ("h/x", "h/{r=**}"),
        ("h/a/b/c", "h/a/{r=**}"),
        ("h/a/", "h/a/"),
        ("h/", "h/"),
    ],
)
def test_literal_beats_parameter_beats_rest(url: str, entry: str) -> None:
    """From left to right the more specific segment wins, with a way back when it leads nowhere."""
    paths = ["/", "/a/", "/a/b", "/a/{p}", "/{p}/b", "/a/{r=**}", "/{r=**}"]
    assert find(index_of(*(("h", path, "GET") for path in paths)), "GET", url) == entry


def test_a_trailing_slash_counts() -> None:
    """`/a` and `/a/` are different, in both directions."""
    assert find(index_of(("h", "/a", "GET")), "GET", "h/a/") is None
    assert find(index_of(("h", "/a/", "GET")), "GET", "h/a") is None


def test_a_parameter_is_one_segment_that_is_not_empty() -> None:
    """Neither nothing nor two segments."""
    index = index_of(("h", "/a/{p}", "GET"), ("h", "/b/{r=**}", "GET"))
    assert find(index, "GET", "h/a/x") is not None
    assert find(index, "GET", "h/a/") is None
    assert find(index, "GET", "h/a/x/y") is None
    assert find(index, "GET", "h/b/") is None
    assert find(index, "GET", "h/b") is None


def test_an_exact_host_beats_a_wildcard_of_one_label() -> None:
    """`*` stands for exactly one label, and only where the exact host does not answer."""
    index = index_of(("api.example.com", "/a", "GET"), ("*.example.com", "/a", "GET"), ("*.example.com", "/b", "GET"))
    assert find(index, "GET", "api.example.com/a") == "api.example.com/a"
    assert find(index, "GET", "api.example.com/b") == "*.example.com/b"
    assert find(index, "GET", "www.example.com/a") == "*.example.com/a"
    assert find(index, "GET", "a.b.example.com/a") is None
    assert find(index, "GET", "example.com/a") is None
    assert find(index, "GET", ".example.com/a") is None
    assert find(index, "GET", "localhost/a") is None


def test_a_port_is_part_of_the_host() -> None:
    """Another port is another host."""
    index = index_of(("api.example.com:8443", "/a", "GET"))
    assert find(index, "GET", "api.example.com:8443/a") is not None
    assert find(index, "GET", "api.example.com/a") is None


def test_the_method_is_part_of_the_match() -> None:
    """A more specific path without the method does not hide a less specific one that has it."""
    index = index_of(("h", "/users/me", "GET"), ("h", "/users/{u}", "DELETE"))
    assert find(index, "DELETE", "h/users/me") == "h/users/{u}"
    assert find(index, "POST", "h/users/me") is None


def test_get_answers_head_unless_head_is_declared() -> None:
    """HEAD is GET without the body."""
    assert find(index_of(("h", "/a", "GET")), "HEAD", "h/a") == "h/a"
    both: Index[str] = Index()
    both.add("h", parse_template("/a"), "GET", "get")
    both.add("h", parse_template("/a"), "HEAD", "head")
    assert both.find("h", ("a",), "HEAD") == "head"
    assert find(index_of(("h", "/a", "HEAD")), "GET", "h/a") is None


def test_methods_lists_what_is_declared_at_a_path() -> None:
    """All templates that agree with the path count, HEAD where GET is; nothing is declared elsewhere."""
    index = index_of(("h", "/a", "GET"), ("h", "/{p}", "PUT"))
    assert index.methods("h", ("a",)) == ("GET", "HEAD", "PUT")
    assert index.methods("h", ("b",)) == ("PUT",)
    assert index.methods("h", ("a", "b")) == ()


def test_templates_of_one_shape_match_the_same_paths() -> None:
    """Parameter names make no difference; literals, slashes and `=**` do."""
    paths = ["/a/{x}", "/a/{y}", "/a/{x=**}", "/a/x", "/a/x/", "/{x}/a"]
    shapes = [parse_template(path).shape for path in paths]
    assert shapes[0] == shapes[1]
    assert len(set(shapes)) == len(paths) - 1


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "a",
            "a/b",
            "//",
            "/a//b",
            "/a/./b",
            "/..",
            "/a%2Fb",
            "/a b",
            "/a?b",
            "/a#b",
            "/*",
            "/{p=**}/a",
            "/{p=*}",
        ),
        *("/{P}", "/x{p}", "/{p}x", "/{}", "/{p", "/a\\b", "/{p}/{p}", "/a" * 65),
    ],
)
def test_a_template_that_no_path_could_match_is_refused(text: str) -> None:
    """Templates are checked when they are read, since a wrong one would silently match nothing."""
    with pytest.raises(ValueError, match=r"."):
        parse_template(text)


def test_a_template_knows_its_parameters() -> None:
    """By name, with the position of the segment."""
    template = parse_template("/a/{p}/{rest=**}")
    assert template.parameters() == ("p", "rest")
    found = template.find_parameter("rest")
    assert found is not None
    assert (found[0], found[1].rest) == (2, True)
    assert template.find_parameter("q") is None


@pytest.mark.parametrize(
    "host", ["localhost", "a.b", "a_b.c:80", "127.0.0.1:8080", "[::1]", "[::1]:80", "*.b", "*.b.c:1"]
)
def test_host_patterns(host: str) -> None:
    """Names, addresses, ports, and one wildcard label."""
    assert is_host_pattern(host)


@pytest.mark.parametrize(
    "host", ["", "*", "A.b", "a.b.", "*b.c", "a.*.b", "*.*.b", "a b", "http://a", "a/b", "a:", "::1"]
)
def test_what_is_no_host_pattern(host: str) -> None:
    """What no normalised host can be."""
    assert not is_host_pattern(host)
