"""`host tools list | show` and `host call`: the catalog and its tools from a terminal."""

import json
import sys

import typer

from host.cli import pins
from host.cli.client import call, show_json
from host.cli.config import JSON_OPTION
from host.domain.errors import ConfigError, NotFoundError
from host.domain.jsonrpc import Json, as_object
from host.domain.protocol import META_MISSING, list_member, object_member


def register(root: typer.Typer) -> None:
    """Add `host tools`."""
    group = typer.Typer(no_args_is_help=True, help="List and show the tools of all servers.")
    group.command("list")(list_tools)
    group.command("show")(show)
    pins.register(group)
    root.add_typer(group, name="tools")


def register_call(root: typer.Typer) -> None:
    """Add `host call`."""
    root.command("call")(call_tool)


def list_tools(
    server: str | None = typer.Option(None, help="Only the tools of this server."),
    as_json: bool = JSON_OPTION,
) -> None:
    """List every tool that clients are offered."""
    tools = _tools()
    if server is not None:
        tools = [tool for tool in tools if str(tool["name"]).startswith(f"{server}__")]
    if as_json:
        print(show_json(tools))
        return
    width = max((len(str(tool["name"])) for tool in tools), default=0)
    for tool in tools:
        print(f"{tool['name']:<{width}}  {_kind(tool):<11}  {_summary(tool)}".rstrip())
    if not tools:
        print("No tools. `host servers list` shows the servers, `host doctor` what is wrong.")


def show(
    name: str = typer.Argument(help="The tool's name, such as files__read_text."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Show a tool: what it does and what it takes."""
    tools = {str(tool["name"]): tool for tool in _tools()}
    if name not in tools:
        raise NotFoundError("tool", name, tools)
    tool = tools[name]
    if as_json:
        print(show_json(tool))
        return
    description = printable(str(tool.get("description", "")).strip())
    print(f"{name}  ({_kind(tool)})\n\n{description}\n")
    schema = object_member(tool, "inputSchema")
    required = list_member(schema, "required")
    for parameter, raw in object_member(schema, "properties").items():
        about = as_object(raw) or {}
        mark = "required" if parameter in required else "optional"
        kind = about.get("type", "any")
        described = printable(str(about.get("description", "")))
        print(f"  {parameter}  {kind}, {mark}  {described}".rstrip())
    pin = pins.pin_of(name)
    if pin is not None:
        _show_pin(pin)


def _show_pin(pin: Json) -> None:
    """Print how a tool's definition stands, and what is odd about it."""
    if pin["standing"] == "accepted":
        state = f"accepted {pin['accepted_at']} ({pin['accepted_by']})"
    else:
        state = f"{pin['standing']}, held back: see `host tools diff {pin['shown']}`"
    print(f"\nDefinition {str(pin['digest'])[:12]}: {state}")
    pins.print_findings(pin)


def call_tool(
    name: str = typer.Argument(help="The tool's name, such as files__read_text."),
    arguments: str = typer.Argument("{}", help="Its arguments as JSON; - reads standard input."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Call a tool and print what it answers; the exit status is 1 where it failed."""
    text = sys.stdin.read() if arguments == "-" else arguments
    try:
        given = json.loads(text)
    except ValueError as error:
        raise ConfigError(
            f"The arguments are not JSON: {error}.",
            next_step=f'Write them like this: host call {name} \'{{"path": "notes.txt"}}\'',
        ) from error
    if as_object(given) is None:
        raise ConfigError("The arguments have to be a JSON object, such as {}.")
    result = call("tools/call", {"name": name, "arguments": given}, tell=_tell)
    if as_json:
        print(show_json(result))
    else:
        _print_content(result)
    if result.get("isError") is True:
        raise typer.Exit(1)


def _tell(text: str) -> None:
    """Say what a call waits for, beside its result."""
    print(f"host: {printable(text)}", file=sys.stderr, flush=True)


def _tools() -> list[Json]:
    listed = call("tools/list")
    for server, why in object_member(object_member(listed, "_meta"), META_MISSING).items():
        print(f"host: without {server}: {printable(str(why))}", file=sys.stderr)
    return [tool for tool in list_member(listed, "tools") if as_object(tool) is not None]


def _kind(tool: Json) -> str:
    annotations = object_member(tool, "annotations")
    if annotations.get("readOnlyHint") is True:
        return "reads"
    return "changes" if annotations.get("destructiveHint") is False else "destructive"


def _summary(tool: Json) -> str:
    lines = str(tool.get("description", "")).strip().splitlines()
    return printable(lines[0])[:100] if lines else ""


def printable(text: str) -> str:
    """Return a server's text without what could steer the terminal: controls become visible."""
    return "".join(
        letter if letter in "\n\t" or letter.isprintable() else f"\\x{ord(letter):02x}"
        for letter in text
    )


def _print_content(result: Json) -> None:
    for block in list_member(result, "content"):
        body = as_object(block) or {}
        if body.get("type") == "text":
            print(printable(str(body.get("text", ""))))
        else:
            size = len(str(body.get("data", "")))
            print(f"[{body.get('type')} {body.get('mimeType', '')} {size} characters]")
    if not list_member(result, "content") and "structuredContent" in result:
        print(show_json(result["structuredContent"]))
