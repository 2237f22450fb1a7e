"""`host policy`: check the rules, explain a decision, run test cases, replay what was recorded."""

import json
import sys
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import typer

from host.cli.config import JSON_OPTION

if TYPE_CHECKING:
    from host.policy.attempt import Attempt
    from host.policy.decision import Explanation
    from host.policy.policy_set import PolicySet
    from host.policy.replay import Replayed

FILES = typer.Argument(None, help="Policy files; those in force without any.")
POLICY = typer.Option(None, "--policy", help="Use this policy file instead; may be repeated.")
MOST_SHOWN = 50


def register(root: typer.Typer) -> None:
    """Add `host policy`."""
    group = typer.Typer(no_args_is_help=True, help="Which calls may be made.")
    for command in (check, explain, simulate):
        group.command()(command)
    group.command("test")(try_cases)
    root.add_typer(group, name="policy")


def check(files: list[Path] | None = FILES, as_json: bool = JSON_OPTION) -> None:
    """Check policy files. Exit status: 0 good, 2 faults."""
    from host.domain.errors import PolicyError

    try:
        policy = _policy(files, quiet=True)
    except PolicyError as error:
        if as_json:
            print(json.dumps({"faults": _faults(error), "rules": 0}, indent=1))
        else:
            for problem in error.problems or (error,):
                print(problem)
            print("Nothing runs until this is mended.")
        raise typer.Exit(2) from None
    used = [{"file": str(one.file), "level": one.level} for one in policy.sources]
    if as_json:
        summary = {
            "faults": [],
            "warnings": policy.warnings,
            "rules": len(policy.rules),
            "default": policy.default,
            "digest": policy.digest,
            "sources": used,
        }
        print(json.dumps(summary, indent=1))
        return
    for warning in policy.warnings:
        print(f"warning: {warning}")
    for one in used:
        print(f"{one['level']:<13} {one['file']}")
    print(f"Good: {len(policy.rules)} rules, default {policy.default}, {policy.digest[:12]}.")


def _faults(error: Exception) -> list[dict[str, Any]]:
    from host.domain.errors import ConfigError

    problems = getattr(error, "problems", ()) or (error,)
    return [
        {"file": str(one.file or ""), "line": one.line, "field": one.field, "message": one.message}
        if isinstance(one, ConfigError)
        else {"file": "", "line": None, "field": None, "message": str(one)}
        for one in problems
    ]


def explain(  # noqa: PLR0913, PLR0917  each is an option of the command line
    name: str = typer.Argument(help="The tool's name, such as files__write, or a resource's URI."),
    arguments: str = typer.Argument("{}", help="Its arguments as JSON; - reads standard input."),
    method: str = typer.Option("tool", help="tool, resource, prompt, sampling, …"),
    client: str = typer.Option("cli", help="Name of the caller's credential."),
    user: str = typer.Option("local", help="Who calls."),
    role: str = typer.Option("user", help="admin, approver, user or viewer."),
    agent: str | None = typer.Option(None, help="On behalf of which agent."),
    taint: list[str] | None = typer.Option(None, help="A label that the session has met."),
    label: list[str] | None = typer.Option(None, help="A further label of the tool."),
    annotations: str | None = typer.Option(
        None, help="The tool's annotations as JSON, instead of asking the running host."
    ),
    policy: list[Path] | None = POLICY,
    everything: bool = typer.Option(False, "--all", help="Also rules that do not apply."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Show what would be decided about a call, and how each rule stands to it."""
    from dataclasses import replace

    from host.cli.plugin_rules import ask_plugins
    from host.policy.case_document import CallConfig
    from host.policy.decision import explain as explain_decision
    from host.policy.limit import FixedCounters

    call = _checked(
        CallConfig,
        {
            "method": method,
            "name": name,
            "user": user,
            "client": client,
            "role": role,
            "agent": agent,
            "taint": taint or [],
            "labels": label or [],
            "arguments": _json_object(arguments, "arguments"),
            "face": "cli",
        },
    )
    attempt = _configured(call, annotations)
    if taint:
        attempt = replace(attempt, taint=frozenset(taint))
    used = _policy(policy)
    facts = used.gather(attempt, FixedCounters())
    ask_plugins(used, facts)
    explained = explain_decision(facts, used)
    if as_json:
        print(json.dumps(asdict(explained), indent=1, default=sorted))
    else:
        _print_explanation(explained, attempt, used, everything=everything)


def try_cases(
    files: list[Path] | None = FILES,
    as_json: bool = JSON_OPTION,
) -> None:
    """Run the test cases in policy files, each on its own file. Exit status: 1 if one fails."""
    from host.policy.case import check_file
    from host.policy.source import CASES_SUFFIX

    chosen = files or [one.file for one in _policy(None, quiet=True).sources]
    failed, total = 0, 0
    rows: list[dict[str, Any]] = []
    for file in dict.fromkeys(chosen):
        results = check_file(file)
        total += len(results)
        for one in results:
            failed += one.problem is not None
            rows.append({"file": str(file), "case": one.case.name, "problem": one.problem})
            if one.problem is not None and not as_json:
                print(f"{file}: {one.case.name}: {one.problem}.")
        if not results and not as_json:
            suffix = "" if file.name.endswith(CASES_SUFFIX) else "; write them under `tests:`"
            print(f"{file}: there are no test cases{suffix}.")
    if as_json:
        print(json.dumps(rows, indent=1))
    else:
        print(f"{total - failed} of {total} cases as expected.")
    if failed:
        raise typer.Exit(1)


def simulate(
    files: list[Path] | None = typer.Argument(
        None, help="The changed policy; that in force, against what was decided, without any."
    ),
    since: str = typer.Option("7d", "--since", help="30m, 12h, 7d, or an ISO 8601 time."),
    most: int = typer.Option(100_000, "--limit", min=1, help="How many calls at most."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Replay the recorded calls under a policy, and show what would differ.

    A call whose decision was not recorded is compared with what the policy in force says.
    """
    from host.audit.call import CallFilter, parse_since
    from host.cli.audit import open_trail
    from host.config.load import load_settings
    from host.policy.replay import Replay

    wanted = CallFilter(since=parse_since(since, now=datetime.now(UTC)))

    async def read() -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
        async with open_trail() as trail:
            return [(one.intent, one.outcome) for one in await trail.find(wanted, most=most)]

    changed, present = _policy(files), _policy(None, quiet=True)
    servers = load_settings(folder=Path.cwd()).settings.servers
    calls = anyio.run(read)
    then = Replay(present, servers).decide_all(calls)
    now = Replay(changed, servers).decide_all(calls)
    pairs = [(one, old.recorded or old.decision.action) for old, one in zip(then, now, strict=True)]
    differing = [(one, before) for one, before in pairs if one.decision.action != before]
    if as_json:
        print(json.dumps({"calls": len(calls), "differ": [_row(*one) for one in differing]}))
        return
    _print_simulation(differing, total=len(calls))


def _row(one: "Replayed", before: str) -> dict[str, Any]:
    return {
        "call_id": one.intent["call_id"],
        "name": one.intent.get("name") or one.intent["method"],
        "client": one.intent["client"],
        "before": before,
        "after": one.decision.action,
        "rule": one.decision.rule,
        "notes": one.notes,
    }


def _print_simulation(differing: list[tuple["Replayed", str]], *, total: int) -> None:
    for one, before in differing[:MOST_SHOWN]:
        row = _row(one, before)
        notes = f"  ({'; '.join(one.notes)})" if one.notes else ""
        rule = row["rule"] or "the default"
        line = f"{row['call_id'][:13]}  {row['name']}  {before} → {row['after']}  by {rule}{notes}"
        print("".join(c if c.isprintable() else "�" for c in line))
    if len(differing) > MOST_SHOWN:
        print(f"… and {len(differing) - MOST_SHOWN} more; --json lists all.")
    kinds = Counter(f"{before} → {one.decision.action}" for one, before in differing)
    said = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "none differs"
    print(f"{total} calls: {said}.")


def _policy(files: list[Path] | None, *, quiet: bool = False) -> "PolicySet":
    """Return the policy of some files, or the one in force; warnings go to standard error."""
    from host.config.load import load_settings
    from host.config.paths import user_paths
    from host.policy.policy_set import PolicySet
    from host.policy.source import find_sources, read_source

    if files:
        policy = PolicySet.load(read_source(file, level="user") for file in files)
    else:
        base = load_settings(folder=Path.cwd()).settings.policy.base
        found = find_sources(user_paths(), folder=Path.cwd(), base=base)
        policy = PolicySet.load(found.sources, warnings=found.warnings)
    for warning in () if quiet else policy.warnings:
        print(f"host: warning: {warning}", file=sys.stderr)
    return policy


def _configured(call: Any, annotations: str | None) -> "Attempt":  # noqa: ANN401 - a lazy import
    """Return the call with what the configuration and the running host know of its tool."""
    from dataclasses import replace

    from host.config.load import load_settings
    from host.policy.case import attempt_of_case
    from host.policy.labels import ground_of, is_trusted, own_package, package_of

    attempt = attempt_of_case(call)
    own = own_package(attempt.server)
    if own is not None:
        known = (_json_object(annotations, "annotations") if annotations else None) or (
            _definition(call.name).get("annotations") or {}
        )
        return replace(attempt, package=own, trusted=True, annotations=known)
    servers = load_settings(folder=Path.cwd()).settings.servers
    prefixes = {
        one.prefix if one.prefix is not None else name: name for name, one in servers.items()
    }
    server = prefixes.get(attempt.server or "")
    if server is None:
        print("host: no configured server has this name; nothing is known of it.", file=sys.stderr)
        said = {} if annotations is None else _json_object(annotations, "annotations")
        return replace(attempt, annotations=said)
    config = servers[server]
    definition = {"annotations": _json_object(annotations, "annotations")} if annotations else None
    if definition is None and call.method == "tool":
        definition = _definition(call.name)
    known = definition or {}
    meta = known.get("_meta") or {}
    return replace(
        attempt,
        server=server,
        package=package_of(config),
        trusted=is_trusted(config),
        ground=ground_of(config),
        annotations=known.get("annotations") or {},
        labels=attempt.labels | {*config.labels, *meta.get("host/labels", ())},
    )


def _definition(name: str) -> dict[str, Any]:
    """Return a tool's definition from the host."""
    from host.cli.client import call
    from host.domain.errors import DaemonError

    try:
        tools = call("tools/list").get("tools", [])
    except DaemonError as error:
        print(f"host: the tool's annotations are not known. {error}", file=sys.stderr)
        return {}
    found: list[dict[str, Any]] = [tool for tool in tools if tool.get("name") == name]
    return found[0] if found else {}


def _checked(model: Any, value: dict[str, Any]) -> Any:  # noqa: ANN401 - a lazy import
    from host.config.document import validate_document
    from host.config.yaml import Document

    return validate_document(model, Document(value))


def _json_object(text: str, what: str) -> dict[str, Any]:
    """Return an object from the command line; a repeated name is an error."""
    from host.domain.errors import ConfigError

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a name is given twice")
        return dict(pairs)

    given = sys.stdin.read() if text == "-" else text
    try:
        value = json.loads(given, object_pairs_hook=once)
    except ValueError as error:
        raise ConfigError(f"The {what} are not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise ConfigError(f"The {what} have to be a JSON object, such as {{}}.")
    return value  # pyright: ignore[reportUnknownVariableType]


def _print_explanation(
    explained: "Explanation", attempt: "Attempt", policy: "PolicySet", *, everything: bool
) -> None:
    decision = explained.decision
    print(f"{decision.action.upper()}  by {decision.rule or f'default: {policy.default}'}")
    for reason in decision.reasons:
        print(f"  {reason}")
    if decision.every_time:
        print("  It is asked every time; a remembered approval does not count.")
    elif decision.constrained:
        print("  A remembered approval counts only if it says something of the arguments.")
    if decision.approvers:
        groups = " and of ".join(" or ".join(sorted(one)) for one in decision.approvers)
        print(f"  Who may approve is one of {groups}.")
    labels = policy.gather(attempt).labels
    print(f"  Labels: {', '.join(sorted(labels)) or 'none'}.")
    for one in explained.rules:
        if one.verdict == "does not apply" and not everything:
            continue
        print(f"\n{one.action:<5} {one.rule}: {one.verdict}  # {one.place}")
        for line in one.why:
            print("  " + "".join(c if c.isprintable() else "�" for c in line))
    left = sum(one.verdict == "does not apply" for one in explained.rules)
    if left and not everything:
        print(f"\n{left} rules do not apply; --all shows why.")
