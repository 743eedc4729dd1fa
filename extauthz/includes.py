"""Names of files that a policy file includes: one reading, shared by who loads files and who checks what was loaded."""

from __future__ import annotations


def included_name(includer: str, path: str) -> str:
    """Return the name of a file that another includes by its relative path; empty when the path leads nowhere."""
    *folder, _ = includer.split("/")
    steps = [step for step in folder if step != "."] if folder[:1] != [""] else folder
    if path.startswith("/"):
        return ""
    for step in path.split("/"):
        if step == ".." and (not steps or steps[-1] in {"", ".."}):
            return ""
        if step == "..":
            steps.pop()
        elif step not in {"", "."}:
            steps.append(step)
    return "/".join(steps)
