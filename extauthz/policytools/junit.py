"""Results of policy tests as JUnit XML, which CI systems show."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extauthz.policytools.suite import Result

_NOT_XML = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 65534, 65535), "�")
"""Characters that no XML 1.0 text may hold."""


def to_junit(results: Mapping[str, Sequence[Result]], failures: Mapping[int, str]) -> bytes:
    """Return an XML document.

    Args:
        results: of each file of tests, by its name.
        failures: what is said about a failed result, by the `id` of the result object.
    """
    total = sum(len(each) for each in results.values())
    failed = sum(not result.passed for each in results.values() for result in each)
    root = Element("testsuites", tests=str(total), failures=str(failed))
    for name, each in results.items():
        bad = sum(not result.passed for result in each)
        suite = SubElement(root, "testsuite", name=_text(name), tests=str(len(each)), failures=str(bad), errors="0")
        for result in each:
            case = SubElement(
                suite,
                "testcase",
                name=_text(result.case.name),
                classname=_text(name),
                file=_text(result.case.file),
                line=str(result.case.line),
            )
            if not result.passed:
                message = f"{len(result.differences)} of its expectations were not met"
                SubElement(case, "failure", message=message).text = _text(failures[id(result)])
    indent(root)
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _text(text: str) -> str:
    return text.translate(_NOT_XML)
