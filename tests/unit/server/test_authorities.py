"""Files of authorities are read at start and whenever they change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from extauthz.config.settings import Settings
from extauthz.errors import ConfigError
from extauthz.server.authorities import AuthorityFiles, authority_files
from tests.simulators.client_certificates import Authority

if TYPE_CHECKING:
    from pathlib import Path

ONE = Authority("one")
OTHER = Authority("other")


def names(files: AuthorityFiles, file: Path) -> list[str]:
    """Return whose certificates are in force."""
    held = files.find_authorities(str(file))
    return [each.subject.rfc4514_string() for each in held.certificates] if held is not None else []


def test_a_file_that_changes_is_in_force_with_a_new_epoch(tmp_path: Path) -> None:
    """And one that does not change keeps its epoch."""
    (file := tmp_path / "ca.pem").write_bytes(ONE.pem)
    files = AuthorityFiles([file])
    first = files.epoch(str(file))
    files.look()
    assert (names(files, file), files.epoch(str(file))) == (["CN=one"], first)
    file.write_bytes(OTHER.pem + ONE.pem)
    files.look()
    assert names(files, file) == ["CN=other", "CN=one"]
    assert files.epoch(str(file)) != first


@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_a_file_that_breaks_changes_nothing(tmp_path: Path, content: bytes | None) -> None:
    """Gone, empty or nonsense: what was in force stays, and the next good content is taken."""
    (file := tmp_path / "ca.pem").write_bytes(ONE.pem)
    files = AuthorityFiles([file])
    before = files.epoch(str(file))
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    files.look()
    assert (names(files, file), files.epoch(str(file))) == (["CN=one"], before)
    file.write_bytes(OTHER.pem)
    files.look()
    assert names(files, file) == ["CN=other"]


def test_a_start_without_authorities_is_refused(tmp_path: Path) -> None:
    """Every file that is wrong is named."""
    (broken := tmp_path / "broken.pem").write_bytes(b"nonsense")
    with pytest.raises(ConfigError) as error:
        AuthorityFiles([broken, tmp_path / "gone.pem"])
    texts = [str(problem) for problem in error.value.problems]
    assert "broken.pem" in texts[0]
    assert "not a list of certificates" in texts[0]
    assert "No such file" in texts[1]


def test_a_file_that_nobody_named_holds_nothing() -> None:
    """And has an epoch all the same."""
    files = AuthorityFiles([])
    assert files.find_authorities("else.pem") is None
    assert files.epoch("else.pem") == 0


def test_every_file_of_the_settings_is_found_once() -> None:
    """However often it is named."""
    accept = [{"trust_domain": "a.example", "authorities": "a.pem"}, {"trust_domain": "b.example"}]
    more = [{"trust_domain": "c.example", "authorities": "c.pem"}, *accept]
    settings = Settings.model_validate(
        {
            "policy": ["p"],
            "profiles": {"a": {"certificates": {"accept": accept}}, "b": {"certificates": {"accept": more}}},
        }
    )
    assert [str(file) for file in authority_files(settings)] == ["a.pem", "c.pem"]
