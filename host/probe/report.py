"""Writes the report of a test: for people, as JSON, and as JUnit XML for continuous integration."""

import dataclasses
import json
from xml.etree.ElementTree import Element, SubElement, tostring

from host.pins.finding import visible
from host.probe.finding import Finding, Report


def render_text(report: Report) -> str:
    """Return the report for people, the gravest first."""
    offered = ", ".join(
        _count(number, what)
        for number, what in (
            (report.tools, "tool"),
            (report.resources, "resource"),
            (report.prompts, "prompt"),
        )
    )
    lines = [f"{report.target}: {offered}, about {report.tokens:,} tokens to list the tools"]
    for era, said in report.eras.items():
        took = f" in {report.seconds[era]:.2f} s" if era in report.seconds else ""
        lines.append(f"  {era:<10} {visible(said, most=200)}{took}")
    lines.append(f"  {report.calls} calls with good arguments, {report.bad_calls} with bad ones")
    order = ("error", "warning", "note")
    lines += [
        f"{finding.level:<8} {finding.check:<12} {_subject(finding)}: {_said(finding)}"
        for finding in sorted(report.findings, key=lambda one: order.index(one.level))
    ]
    levels = [one.level for one in report.findings]
    counts = ", ".join(_count(levels.count(level), level) for level in order)
    lines.append(counts)
    return "\n".join(lines)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _subject(finding: Finding) -> str:
    era = f" ({finding.era})" if finding.era else ""
    return f"{visible(finding.subject)}{era}"


def _said(finding: Finding) -> str:
    return visible(finding.message, most=500)


def render_json(report: Report, *, strict: bool) -> str:
    """Return the report as JSON."""
    passed = not report.failed(strict=strict)
    return json.dumps({**dataclasses.asdict(report), "passed": passed}, indent=1)


def render_junit(report: Report, *, strict: bool) -> str:
    """Return the report as JUnit XML: one case for each thing that was found, one for the rest."""
    bad = ("error", "warning") if strict else ("error",)
    suite = Element("testsuite", name=f"host test-server {visible(report.target, most=500)}")
    SubElement(suite, "testcase", classname="server", name="tested")
    failures = 0
    for finding in report.findings:
        name = f"{finding.check}: {_said(finding)}"
        case = SubElement(suite, "testcase", classname=_subject(finding), name=name)
        if finding.level in bad:
            failures += 1
            SubElement(case, "failure", message=_said(finding), type=finding.check)
    suite.set("tests", str(len(report.findings) + 1))
    suite.set("failures", str(failures))
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(suite, encoding="unicode")
