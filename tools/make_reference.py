"""Write the reference pages that are made from code; with `--check`, only say whether they are current.

They are `docs/reference/reasons.md`, from `extauthz/model/reason.py`; `docs/reference/policy.schema.json`, from the
models of policy files; and `docs/reference/metrics.md`, from wherever metrics are made (`make_metrics.py`).
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from extauthz.model import reason as reasons
from extauthz.model.reason import REASONS, Reason, ReasonSpec
from extauthz.policy.schema import schema_text
from tools import make_metrics

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "reasons.md"
SCHEMA = ROOT / "docs" / "reference" / "policy.schema.json"
METRICS = ROOT / "docs" / "reference" / "metrics.md"

_HEAD = """\
# Reason codes

Made by `make docs` from `extauthz/model/reason.py`; a test keeps it current.

Every answer carries one code: in the header `x-extauthz-reason` and the member `reason` of a denial's problem document,
in the decision record, and in Envoy's dynamic metadata (namespace `envoy.filters.http.ext_authz`, key `reason`). Codes
are API: they are added, and never renamed or reused silently. The title is fixed text; what is specific to a request
stands in `detail`.

`WWW-Authenticate` says which OAuth error the challenge names; "without error" is one that only names the scheme,
and "none" means that there is no challenge. `step_up_required` answers 403 without a challenge when no person stands
behind the credential, because a machine cannot sign in again. An allowed request has the code `allowed`.
"""


def _groups() -> dict[str, list[str]]:
    """Return reason names under the comment that heads them in the source, in source order."""
    lines = Path(reasons.__file__).read_text(encoding="utf-8").splitlines()
    tree = ast.parse("\n".join(lines))
    (body,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Reason")
    groups: dict[str, list[str]] = {}
    heading = ""
    for line in lines[body.lineno : body.end_lineno]:
        text = line.strip()
        if text.startswith("#"):
            heading = text.removeprefix("#").strip()
        elif heading and " = " in text:
            groups.setdefault(heading, []).append(text.split(" = ")[0])
    return groups


def _challenge(spec: ReasonSpec) -> str:
    if not spec.challenge:
        return "none"
    return f"`{spec.error}`" if spec.error else "without error"


def page() -> str:
    """Return the whole page."""
    parts = [_HEAD]
    for heading, names in _groups().items():
        parts.append(f"\n## {heading}\n\n| code | status | `WWW-Authenticate` | title |\n| --- | --- | --- | --- |\n")
        for name in names:
            reason = Reason[name]
            spec = REASONS[reason]
            parts.append(f"| `{reason.value}` | {spec.status} | {_challenge(spec)} | {spec.title} |\n")
    return "".join(parts)


def main(arguments: list[str]) -> int:
    """Write the pages, or compare them; return the exit status."""
    made = {PAGE: page(), SCHEMA: schema_text(), METRICS: make_metrics.page()}
    if "--check" in arguments:
        return (
            0 if all(path.is_file() and path.read_text(encoding="utf-8") == text for path, text in made.items()) else 1
        )
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    for path, text in made.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
