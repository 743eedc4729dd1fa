"""Compile `protos/` into `extauthz/gen/`; with `--check DIR`, into DIR instead (the drift test compares)."""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

import google.rpc
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent


def compile_protos(target: Path) -> None:
    """Generate messages and their type stubs below `target`, with package markers.

    Raises:
        SystemExit: the compiler refuses.
    """
    well_known = files("grpc_tools") / "_proto"
    googleapis = Path(next(iter(google.rpc.__path__))).parent.parent
    sources = sorted(str(path.relative_to(ROOT / "protos")) for path in (ROOT / "protos").rglob("*.proto"))
    arguments = ["protoc", f"-I{ROOT / 'protos'}", f"-I{well_known}", f"-I{googleapis}"]
    if protoc.main([*arguments, f"--python_out={target}", f"--pyi_out={target}", *sources]) != 0:
        raise SystemExit(1)
    generated = target / "extauthz" / "gen"
    for folder in [generated, *(path for path in generated.rglob("*") if path.is_dir())]:
        (folder / "__init__.py").write_text('"""Generated from `protos/` by `make gen`; never edited."""\n')


if __name__ == "__main__":
    compile_protos(Path(sys.argv[2]) if sys.argv[1:2] == ["--check"] else ROOT)
