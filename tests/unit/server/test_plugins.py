"""A plug-in is loaded only when it is exactly what settings pin, from real installed distributions."""

from __future__ import annotations

import hashlib
import py_compile
import sys
from importlib.util import cache_from_source
from typing import TYPE_CHECKING

import pytest
import yaml
from typer.testing import CliRunner

from extauthz.cli.main import app
from extauthz.config.plugins import PluginSettings
from extauthz.errors import ConfigError
from extauthz.server.plugins import find_offers, load_plugins
from tests.simulators.distributions import CODE, KIND, install, on_path, pin

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOUD = "raise RuntimeError('imported')\n"


def problem_of(**changes: str) -> str:
    """Return why what is on the path is refused, with its fix."""
    with pytest.raises(ConfigError) as caught:
        load_plugins([PluginSettings(**pin(**changes))])
    (problem,) = caught.value.problems
    assert problem.file == f"plugins: {KIND}"
    assert problem.fix
    return str(problem)


def test_what_is_pinned_is_loaded(tmp_path: Path) -> None:
    """Its names are compared as installers compare them."""
    install(tmp_path)
    with on_path(tmp_path):
        loaded = load_plugins([PluginSettings(**pin(distribution="Acme_extauthz"))])
    assert loaded[KIND].reads == {"identity.kind", "identity.scopes", "resource.color"}
    assert list(loaded) == [KIND]


def test_what_is_not_named_is_never_imported(tmp_path: Path) -> None:
    """Neither without settings nor to print what to pin; the control is that naming it does."""
    install(tmp_path, {"acme_color.py": LOUD})
    with on_path(tmp_path):
        assert load_plugins([]) == {}
        assert [offer.kind for offer in find_offers()] == [KIND]
        assert "acme_color" not in sys.modules
        assert "cannot be imported: RuntimeError" in problem_of()


def test_other_files_are_refused_before_they_are_imported(tmp_path: Path) -> None:
    """One byte is enough, and the message says what the digest is now."""
    install(tmp_path)
    with on_path(tmp_path):
        before = pin()
        (tmp_path / "acme_color.py").write_text(CODE + LOUD)
        problem = problem_of(sha256=before["sha256"])
        assert "not those that are pinned" in problem
        assert pin()["sha256"] in problem
        assert "acme_color" not in sys.modules


def test_the_digest_is_the_one_that_is_documented(tmp_path: Path) -> None:
    """Names and contents, each after its length; without bytecode, scripts and what installers write."""
    install(tmp_path)
    info = "acme_extauthz-1.2.0.dist-info"
    digest = hashlib.sha256()
    for name in ("acme_color.py", f"{info}/METADATA", f"{info}/entry_points.txt"):
        for piece in (name.encode(), (tmp_path / name).read_bytes()):
            digest.update(len(piece).to_bytes(8, "big") + piece)
    with on_path(tmp_path):
        assert pin()["sha256"] == digest.hexdigest()
        (tmp_path / info / "INSTALLER").write_text("another\n")
        assert pin()["sha256"] == digest.hexdigest()


def _remove(folder: Path) -> None:
    (folder / "acme_color.py").unlink()


def _forget(folder: Path) -> None:
    (folder / "acme_extauthz-1.2.0.dist-info" / "RECORD").unlink()


@pytest.mark.parametrize(
    ("damage", "words"), [(_remove, "`acme_color.py`, which its RECORD lists, cannot be read"), (_forget, "no RECORD")]
)
def test_what_has_no_digest_is_refused(damage: Callable[[Path], None], words: str, tmp_path: Path) -> None:
    """And `config --plugins` says so in a comment, for the same reason."""
    install(tmp_path)
    with on_path(tmp_path):
        pinned = PluginSettings(**pin())
        damage(tmp_path)
        with pytest.raises(ConfigError, match=words):
            load_plugins([pinned])
        printed = CliRunner().invoke(app, ["config", "--plugins"]).stdout
    assert yaml.safe_load(printed) == {"plugins": []}
    assert f"# {KIND}: " in printed
    assert words in printed


def test_what_is_printed_pins(tmp_path: Path) -> None:
    """The output of the command is the settings."""
    install(tmp_path)
    with on_path(tmp_path):
        result = CliRunner().invoke(app, ["config", "--plugins"])
        (printed,) = yaml.safe_load(result.stdout)["plugins"]
        assert list(load_plugins([PluginSettings(**printed)])) == [KIND]


def test_a_missing_one_and_another_version_are_refused(tmp_path: Path) -> None:
    """Each problem names what to install."""
    install(tmp_path)
    with on_path(tmp_path):
        assert "it comes from acme-extauthz 1.2.0 — install acme-extauthz 1.3.0" in problem_of(version="1.3.0")
        assert "it comes from acme-extauthz 1.2.0" in problem_of(distribution="other")
        pinned = PluginSettings(**pin())
    with pytest.raises(ConfigError, match=r"no installed distribution offers it — install acme-extauthz 1\.2\.0"):
        load_plugins([pinned])


def test_several_that_offer_it_are_refused(tmp_path: Path) -> None:
    """Also when the settings name one of them; the same folder twice is one."""
    install(tmp_path / "a")
    install(tmp_path / "b", {"evil.py": LOUD}, name="evil", point="evil:color")
    with on_path(tmp_path / "a", tmp_path / "a"):
        assert load_plugins([PluginSettings(**pin())])
    with on_path(tmp_path / "a", tmp_path / "b"):
        assert "several installed distributions offer it: acme-extauthz 1.2.0, evil 1.2.0" in problem_of()


def test_a_module_that_python_finds_first_is_refused(tmp_path: Path) -> None:
    """What was compared must be what is imported."""
    install(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "acme_color.py").write_text(LOUD)
    with on_path(tmp_path / "b", tmp_path / "a"):
        assert "Python finds another module `acme_color` first" in problem_of()


def test_another_module_of_the_distribution_that_is_hidden_is_refused(tmp_path: Path) -> None:
    """What the entry point's module imports is compared as well; the control is the same without the one in the way."""
    install(tmp_path / "a", {"acme_color.py": f"import acme_more\n{CODE}", "acme_more/__init__.py": ""})
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "acme_more.py").write_text(LOUD)
    with on_path(tmp_path / "b", tmp_path / "a"):
        assert "Python finds another module `acme_more` first" in problem_of()
    with on_path(tmp_path / "a"):
        assert load_plugins([PluginSettings(**pin())])


@pytest.mark.parametrize("point", ["yaml:color", "acme:color"])
def test_modules_of_others_and_namespaces_are_refused(point: str, tmp_path: Path) -> None:
    """They cannot be pinned by its files."""
    install(tmp_path, {"acme/color.py": CODE}, point=point)
    with on_path(tmp_path):
        assert "is not among its files" in problem_of()


@pytest.mark.parametrize("link", [False, True])
def test_a_file_beside_the_listed_ones_is_refused(tmp_path: Path, *, link: bool) -> None:
    """It could be imported in place of a listed one (an extension module), or as well."""
    install(tmp_path, {"acme/__init__.py": CODE}, point="acme:color")
    (tmp_path / "acme" / "__pycache__").mkdir()
    (tmp_path / "acme" / "__pycache__" / "x.pyc").write_text("")
    with on_path(tmp_path):
        assert load_plugins([PluginSettings(**pin())])
        added = tmp_path / "acme" / "more"
        added.symlink_to(tmp_path, target_is_directory=True) if link else added.write_text(LOUD)
        assert "`acme/more` lies among its files" in problem_of()


def test_bytecode_that_lies_about_is_not_run(tmp_path: Path) -> None:
    """Python would take it for the source's: the control runs it."""
    install(tmp_path)
    source = tmp_path / "acme_color.py"
    cached = cache_from_source(str(source))
    (tmp_path / "evil.py").write_text(LOUD)
    py_compile.compile(
        str(tmp_path / "evil.py"), cached, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
    with on_path(tmp_path), pytest.raises(RuntimeError, match="imported"):
        __import__("acme_color")
    prefix = sys.pycache_prefix
    with on_path(tmp_path):
        assert load_plugins([PluginSettings(**pin())])
    assert sys.pycache_prefix == prefix


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("color = 7", "it is no kind of requirement: AttributeError"),
        (
            "import types\ncolor = types.SimpleNamespace(reads='identity.kind', compile=print)",
            "no kind of requirement —",
        ),
        ("import types\ncolor = types.SimpleNamespace(reads=[], compile=1)", "no kind of requirement —"),
        (
            "import types\ncolor = types.SimpleNamespace(reads=['request.body'], compile=print)",
            "it reads 'request.body'",
        ),
        ("import types\ncolor = types.SimpleNamespace(reads=[7], compile=print)", "it reads 7, which is no fact"),
        ("import types\ncolor = types.SimpleNamespace(reads=['resource.*'], compile=print)", "it reads 'resource.*'"),
        ("raise SystemExit(3)", "it cannot be imported: SystemExit"),
        ("colour = 7", "it cannot be imported: AttributeError"),
    ],
)
def test_what_is_no_kind_of_requirement_is_refused(code: str, words: str, tmp_path: Path) -> None:
    """At the start, and not at the first decision."""
    install(tmp_path, {"acme_color.py": code})
    with on_path(tmp_path):
        assert words in problem_of()


@pytest.mark.parametrize(
    "kind", ["scopes", "extauthz.more", "Acme.color", "acme.", ".color", "acme.color.more", "acme color.x"]
)
def test_a_kind_cannot_shadow_one_of_ours(kind: str) -> None:
    """It has a vendor, and that is not this project."""
    with pytest.raises(ValueError, match="kind"):
        PluginSettings(kind=kind, distribution="d", version="1", sha256="0" * 64)
