"""Settings from file and environment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from extauthz.config.load import load_settings, load_with_origins
from extauthz.config.settings import Settings
from extauthz.errors import ConfigError

Write = Callable[[str], Path]

MINIMAL = "policy: [policy.yaml]\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a settings file."""

    def _write(text: str) -> Path:
        path = tmp_path / "settings.yaml"
        path.write_text(text)
        return path

    return _write


def problems(path: Path | None) -> list[str]:
    """Return the problems of loading, without the folder."""
    with pytest.raises(ConfigError) as caught:
        load_settings(path)
    folder = f"{path.parent}/" if path is not None else "\0"
    return [str(problem).replace(folder, "") for problem in caught.value.problems]


def test_a_minimal_file_gives_the_defaults(write: Write) -> None:
    """Only `policy` is required."""
    path = write(MINIMAL)
    assert load_settings(path) == Settings(policy=(path.parent / "policy.yaml",))


def test_relative_paths_are_relative_to_the_file(write: Write) -> None:
    """Every kind of path is anchored; absolute ones and standard output stay."""
    path = write(
        "policy: [policy.yaml, /etc/policies]\n"
        "listeners:\n"
        "  - {address: 'unix:run/check.sock'}\n"
        "  - {address: 'unix:/run/check.sock'}\n"
        "  - {address: '127.0.0.1:1', tls: {certificate: c.pem, key: k.pem}}\n"
        "proxies: [{name: a, token_file: token}]\n"
        "issuers: [{issuer: 'https://i', keys: {file: keys.json}}]\n"
    )
    settings, base = load_settings(path), path.parent
    assert settings.policy == (base / "policy.yaml", Path("/etc/policies"))
    assert [listener.address for listener in settings.listeners] == [
        f"unix:{base}/run/check.sock",
        "unix:/run/check.sock",
        "127.0.0.1:1",
    ]
    tls = settings.listeners[2].tls
    assert tls is not None
    assert tls.certificate == base / "c.pem"
    assert settings.proxies[0].token_file == base / "token"
    keys = settings.issuers[0].keys
    assert keys is not None
    assert keys.file == base / "keys.json"
    assert settings.records.path == "-"


def test_the_environment_comes_on_top_of_the_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable replaces one value and leaves its neighbours."""
    path = write(MINIMAL + "server: {threads: 4, fetch_slots: 2, backlog: 7}\n")
    monkeypatch.setenv("EXTAUTHZ__SERVER__THREADS", "8")
    settings = load_settings(path)
    assert (settings.server.threads, settings.server.fetch_slots, settings.server.backlog) == (8, 2, 7)


def test_the_environment_alone_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists are JSON."""
    monkeypatch.setenv("EXTAUTHZ__POLICY", '["policy.yaml"]')
    assert load_settings(None).policy == (Path("policy.yaml"),)


def test_a_misspelt_variable_is_an_error_with_a_suggestion(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that is silently ignored could be one that protects."""
    monkeypatch.setenv("EXTAUTHZ__SERVR__THREADS", "8")
    assert problems(write(MINIMAL)) == [
        "environment variable EXTAUTHZ__SERVR__THREADS: no such setting — did you mean `server`?"
    ]


def test_an_unknown_variable_without_a_neighbour_is_an_error(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is not always something to suggest."""
    monkeypatch.setenv("EXTAUTHZ__QQQQ", "8")
    (problem,) = problems(write(MINIMAL))
    assert problem.startswith("environment variable EXTAUTHZ__QQQQ: no such setting — use one of: acr, cache, ")


def test_a_misspelt_inner_variable_is_named(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also below the first level."""
    monkeypatch.setenv("EXTAUTHZ__SERVER__THREDS", "8")
    assert problems(write(MINIMAL)) == [
        "environment variable EXTAUTHZ__SERVER__THREDS: unknown key `threds` — did you mean `threads`?"
    ]


def test_a_wrong_variable_is_named_rather_than_the_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """The value that is wrong came from the environment."""
    monkeypatch.setenv("EXTAUTHZ__SERVER__THREADS", "eight")
    (problem,) = problems(write(MINIMAL))
    assert problem.startswith("environment variable EXTAUTHZ__SERVER__THREADS: Input should be a valid integer")


def test_a_wrong_item_of_a_list_is_the_fault_of_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list is one variable."""
    monkeypatch.setenv("EXTAUTHZ__POLICY", "[1]")
    assert problems(None)[0].startswith("environment variable EXTAUTHZ__POLICY: Input is not a valid path")


def test_a_list_that_is_not_json_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to write."""
    monkeypatch.setenv("EXTAUTHZ__POLICY", "policy.yaml")
    (problem,) = problems(None)
    assert problem == (
        "environment variable EXTAUTHZ__POLICY: lists and mappings are JSON, and this is not"
        ' — write JSON, for example ["policy.yaml"]'
    )


def test_nothing_at_all_says_how_to_begin() -> None:
    """Without file and environment the message names the option."""
    assert problems(None) == ["settings: `policy` is missing — give a settings file with --config"]


def test_every_problem_is_reported_with_its_place(write: Write) -> None:
    """Unknown keys point at the key, wrong values at the value, and neighbours are suggested."""
    text = (
        "policy: [policy.yaml]\n"
        "servr: {}\n"
        "server:\n"
        "  thredas: 3\n"
        "  deadline: soon\n"
        "proxies:\n"
        "  - {name: a, token: x, unix_socket: true}\n"
        "profiles:\n"
        "  default: {issuers: ['https://i'], audiance: x}\n"
        "insecure: {zzz: 1}\n"
    )
    assert problems(write(text)) == [
        "settings.yaml:2:1: unknown key `servr` — did you mean `server`?",
        "settings.yaml:4:3: unknown key `thredas` — did you mean `threads`?",
        "settings.yaml:5:13: not a duration; write for example 30s, 5m, 1h or 7d",
        "settings.yaml:7:5: give exactly one of token, token_file, certificate_names, unix_socket",
        "settings.yaml:9:37: unknown key `audiance` — did you mean `audience`?",
        "settings.yaml:10:12: unknown key `zzz` — use one of: plaintext_beyond_loopback, unauthenticated_proxies",
    ]


def test_a_reference_to_nothing_is_a_problem_of_the_file(write: Write) -> None:
    """Problems between sections have no single place."""
    text = MINIMAL + "profiles: {default: {issuers: ['https://i'], audience: x}}\n"
    (problem,) = problems(write(text))
    assert problem == ("settings.yaml:1:1: profiles.default: issuer 'https://i' is not configured under `issuers`")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a\n", "settings.yaml:1:1: the settings must be a mapping — begin with `policy: …`"),
        ("policy: [a]\npolicy: [b]\n", "settings.yaml:2:1: the key `policy` stands twice — keep one of them"),
        ("", "settings.yaml:1:1: `policy` is missing — add it"),
    ],
)
def test_a_file_that_is_no_settings_file_is_refused(write: Write, text: str, expected: str) -> None:
    """Lists, doubled keys and empty files."""
    assert problems(write(text)) == [expected]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """The message says why."""
    assert problems(tmp_path / "none.yaml") == ["none.yaml: cannot be read: No such file or directory"]


def test_a_secret_is_never_in_a_problem(write: Write) -> None:
    """Not even when it stands in the wrong place."""
    text = MINIMAL + "proxies: [{name: a, token: [s3cr3t-value]}]\n"
    assert "s3cr3t" not in "".join(problems(write(text)))


def test_the_origin_of_values_is_kept(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """File and environment are kept apart."""
    monkeypatch.setenv("EXTAUTHZ__SERVER__THREADS", "8")
    loaded = load_with_origins(write(MINIMAL))
    assert loaded.environment == {"server": {"threads": "8"}}
    assert loaded.file is not None
    assert loaded.file.places["policy",].line == 1
