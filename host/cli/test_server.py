"""`host test-server`: tests any MCP server, in both eras, with arguments made from its schemas."""

import sys
from pathlib import Path

import typer


def register(root: typer.Typer) -> None:
    """Add `host test-server`."""
    root.command("test-server")(test_server)


def test_server(  # noqa: PLR0913 - each is an option of the command line
    words: list[str] = typer.Argument(
        metavar="TARGET | -- COMMAND...", help="A folder, a .py file, an address, or a command."
    ),
    *,
    output: str = typer.Option("text", "--format", help="text, json or junit."),
    to: Path | None = typer.Option(None, "--output", "-o", help="Write the report to this file."),
    strict: bool = typer.Option(False, "--strict", help="Fail on warnings, too."),
    call: list[str] | None = typer.Option(
        None, help="Call this tool, too, though it does not say that it only reads."
    ),
    header: list[str] | None = typer.Option(
        None, help="'Name: value' for an address; ${VARIABLE} is taken from the environment."
    ),
    call_nothing: bool = typer.Option(False, "--call-nothing", help="Look at the lists only."),
    examples: int = typer.Option(5, min=1, max=100, help="Calls of each tool."),
    seed: int = typer.Option(0, help="The same seed makes the same arguments."),
    timeout: float = typer.Option(30, min=0.1, help="Seconds until an answer counts as a hang."),
    slow: float = typer.Option(5, min=0, help="Seconds from which an answer is called slow."),
) -> None:
    """Test an MCP server. Exit status: 0 passed, 1 failed, 2 it cannot be tested."""
    import anyio

    from host.domain.errors import ConfigError
    from host.probe.report import render_json, render_junit, render_text
    from host.probe.session import ProbeOptions, probe
    from host.probe.target import find_target

    if output not in ("text", "json", "junit"):
        raise ConfigError(f"There is no format {output!r}.", next_step="text, json or junit.")
    options = ProbeOptions(
        timeout=timeout,
        slow=slow,
        examples=examples,
        seed=seed,
        call=tuple(call or ()),
        call_nothing=call_nothing,
    )
    report = anyio.run(probe, find_target(words, headers=header or ()), options)
    if output == "json":
        text = render_json(report, strict=strict)
    elif output == "junit":
        text = render_junit(report, strict=strict)
    else:
        text = render_text(report)
    if to is None:
        print(text)
    else:
        to.write_text(f"{text}\n", "utf-8")
    if not report.reached:
        sys.exit(2)
    if report.failed(strict=strict):
        sys.exit(1)
