"""The source for a command-line tool: its `--help` is read, each subcommand becomes a tool."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from generator.errors import GeneratorError
from generator.literal import Code, one_line
from generator.naming import identifier, title, unique, words
from generator.shape import or_none, shape_of
from generator.sources.choice import check_choice, is_chosen
from generator.spec import Effect, Group, Param, Setting, Source, Tool

MAX_TOOLS = 60
MAX_OPTIONS = 80
"""Most options of a tool; a list of tools with more costs a model too much."""
_OPTION = re.compile(
    r"^\s{1,12}(?:(-\w)(?:[ =]?[<\[]?[A-Z][\w.|-]*[>\]]?)?,?\s+)?(--[A-Za-z][\w-]*)"
    r"(?:\[?[ =](\[?<[^>]+>\]?|\{[^}]+\}|\[?[A-Za-z][\w.|:/-]*\]?|\[[^\]]+\]))?(?:\s{2,}(.*)|\s*)$"
)
_SHORT = re.compile(r"^\s{1,12}(-\w)(?:[ =]?(<[^>]+>|[A-Z][\w.|-]*))?\s{2,}(.*)$")
_SUBCOMMAND = re.compile(r"^\s{2,8}([a-z][a-z0-9_-]*)(?:,\s*[a-z][\w-]*)*(?:\s{2,}(\S.*))?$")
_SECTION = re.compile(r"^([A-Za-z][A-Za-z \t'/-]*):\s*$|^(?:usage|Usage)")
_POSITIONAL = re.compile(r"<([A-Za-z][\w -]*)>(\.\.\.)?|\b([A-Z][A-Z_]+)\b(\.\.\.)?")
_HARMLESS = frozenset(
    {"list", "show", "get", "status", "info", "log", "diff", "version", "search", "find", "view"}
    | {"describe", "check", "print", "cat", "ls", "stat", "history", "tree", "inspect", "help"}
)
_HARMFUL = frozenset(
    {
        "delete",
        "remove",
        "rm",
        "reset",
        "clean",
        "purge",
        "destroy",
        "drop",
        "prune",
        "kill",
        "erase",
    }
    | {"uninstall", "wipe", "format", "rebase", "overwrite", "truncate", "stop", "exec", "run"}
)
_SKIPPED = {"--help", "--version", "-h", "--no-pager", "--paginate"}


@dataclass(frozen=True)
class Option:
    """One option that a help text lists."""

    flag: str
    value: str
    """Its placeholder; empty for a flag without a value."""
    about: str


@dataclass(frozen=True)
class Help:
    """What a help text says."""

    about: str
    options: tuple[Option, ...]
    subcommands: tuple[tuple[str, str], ...]
    positionals: tuple[tuple[str, bool], ...]
    """Name and whether there may be several."""
    left_out: tuple[str, ...] = ()
    """Options beyond the most that a tool takes."""


def read_command(line: str, patterns: Sequence[str] = ()) -> Source:
    """Return the source.

    Args:
        line: The command and the first words of its arguments; it is started with `--help` after
            them, never through a shell.
        patterns: Subcommands that are wanted; all where there are none.

    Raises:
        GeneratorError: The command is not there or says nothing useful.
    """
    try:
        parts = shlex.split(line)
    except ValueError as error:
        raise GeneratorError(f"The command cannot be read: {error}.") from error
    if not parts or shutil.which(parts[0]) is None:
        name = parts[0] if parts else ""
        raise GeneratorError(f"There is no command {name[:60]!r} on this machine.")
    help_text = ask_help(parts)
    found = parse_help(help_text)
    wanted = [(name, about) for name, about in found.subcommands if is_chosen(name, patterns)]
    said = one_line(" ".join(parts), 60)
    check_choice(patterns, [name for name, _ in found.subcommands], f"subcommand of `{said}`")
    notes: list[str] = []
    tools = _tools(parts, found, wanted[:MAX_TOOLS], notes=notes)
    left = len(wanted) - MAX_TOOLS
    if left > 0:
        notes.append(f"{left} more subcommands were left out; choose some with --only.")
    if re.search(r"[/\\]", parts[0]):
        notes.append(
            "A project holds no paths of a machine: its tools start the program by its name. Where "
            "it is not on the PATH, set the variable that ends in `_PROGRAM`."
        )
    program = parts[0].replace("\\", "/").rpartition("/")[2].removesuffix(".exe")
    return Source(
        "cli",
        (Group("commands", said, tuple(tools)),),
        settings=_settings(program),
        dependencies=("anyio>=4.9",),
        title=" ".join([program, *parts[1:]]),
        description=f"Runs {' '.join([program, *parts[1:]])}: {found.about}"[:300],
        extra={"program": program},
        notes=tuple(notes),
    )


def ask_help(parts: Sequence[str]) -> str:
    """Start a command with `--help` (then `-h`) and return what it prints.

    Raises:
        GeneratorError: It does not end, or prints nothing.
    """
    for flag in ("--help", "-h"):
        try:
            done = subprocess.run(  # noqa: S603 - the user's own command, as a list, on their word
                [*parts, flag],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=20,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise GeneratorError(f"`{shlex.join([*parts, flag])}` failed: {error}.") from error
        text = (done.stdout or done.stderr).decode("utf-8", "replace")
        if len(text.strip().splitlines()) > 1:
            return re.sub(r"\x1b\[[0-9;]*m|.\x08", "", text)[:200_000]
    raise GeneratorError(f"`{shlex.join([*parts, '--help'])}` prints nothing to make tools of.")


def parse_help(text: str) -> Help:
    """Return what a help text says; what is not understood is left out."""
    lines = text.expandtabs().splitlines()
    options: dict[str, Option] = {}
    subcommands: dict[str, str] = {}
    usage, about, section = "", "", ""
    for number, line in enumerate(lines):
        heading = _SECTION.match(line)
        if heading:
            section = (heading[1] or "").lower()
        if re.match(r"\s*usage:?", line, re.IGNORECASE) and not usage:
            usage = _usage(lines[number:])
            continue
        option = _option(line, lines[number + 1 :])
        if option is not None:
            if option.flag not in _SKIPPED:
                options.setdefault(option.flag, option)
        elif ("command" in section or "action" in section) and (sub := _SUBCOMMAND.match(line)):
            subcommands.setdefault(sub[1], one_line(sub[2] or "", 200))
        elif not about and line.strip() and not line.startswith((" ", "-")) and not heading:
            about = one_line(line, 200)
    subcommands.pop("help", None)
    return Help(
        about,
        tuple(options.values())[:MAX_OPTIONS],
        tuple(subcommands.items()),
        _positionals(usage),
        tuple(options)[MAX_OPTIONS:],
    )


def _usage(lines: Sequence[str]) -> str:
    kept = [re.sub(r"(?i)^\s*usage:?", "", lines[0])]
    for line in lines[1:10]:
        if not line.startswith(" ") or not line.strip():
            break
        if re.match(r"\s*or:", line):
            break
        kept.append(line)
    return " ".join(kept)


def _option(line: str, following: Sequence[str]) -> Option | None:
    long = _OPTION.match(line)
    if long:
        flag, value, about = long[2], long[3] or "", long[4] or ""
    else:
        short = _SHORT.match(line)
        if not short:
            return None
        flag, value, about = short[1], short[2] or "", short[3] or ""
    if not about and following and re.match(r"^\s{12,}\S", following[0]):
        about = following[0]
    return Option(flag, value.strip("[]<>"), one_line(about, 200))


def _positionals(usage: str) -> tuple[tuple[str, bool], ...]:
    bare = re.sub(r"\[?--?[A-Za-z][\w-]*(?:[ =]\[?(?:<[^>]*>|[A-Z][A-Z_-]*))?\]?", " ", usage)
    found: dict[str, bool] = {}
    for match in _POSITIONAL.finditer(bare):
        name = (match[1] or match[3]).strip()
        if name.lower() not in ("options", "option", "command", "args", "flags"):
            several = (
                bool(match[2] or match[4])
                or bare[match.end() : match.end() + 4].strip("]> ") == "..."
            )
            found[name] = found.get(name, False) or several
    return tuple(list(found.items())[:6])


def _tools(
    parts: list[str], found: Help, wanted: list[tuple[str, str]], *, notes: list[str]
) -> list[Tool]:
    taken: set[str] = set()
    tools: list[Tool] = []
    for sub, about in wanted:
        try:
            inner = parse_help(ask_help([*parts, sub]))
        except GeneratorError:
            inner = Help(about, (), (), (("arguments", True),))
        tools.append(_tool([*parts[1:], sub], inner, about or inner.about, taken=taken))
        notes += _left_out([*parts, sub], inner)
    if not tools:
        notes += _left_out(parts, found)
        tools.append(_tool(parts[1:], found, found.about, taken=taken, program=parts[0]))
    return tools


def _left_out(parts: Sequence[str], found: Help) -> list[str]:
    """Return a sentence about options that no tool takes."""
    if not found.left_out:
        return []
    some = ", ".join(found.left_out[:12])
    more = ", …" if len(found.left_out) > 12 else ""
    said = one_line(" ".join(parts), 60)
    return [f"{len(found.left_out)} options of `{said}` were left out: {some}{more}."]


def _tool(fixed: list[str], found: Help, about: str, *, taken: set[str], program: str = "") -> Tool:
    said = " ".join([*fixed, "" if fixed else program.rpartition("/")[2]])
    name = unique(identifier(said, otherwise="run"), taken)
    taken.add(name)
    effect = _effect(said)
    return Tool(
        name,
        title(name),
        f"{one_line(about, 300) or title(name)}",
        _params(found),
        effect=effect,
        idempotent=effect == "reads",
        open_world=True,
        labels=("untrusted",),
        returns=Code("dict[str, Any]"),
        call={"fixed": tuple(fixed)},
    )


def _effect(said: str) -> Effect:
    """Return what a command may do; one whose name says nothing may do anything."""
    parts = set(words(said))
    if parts & _HARMFUL:
        return "destroys"
    return "reads" if parts & _HARMLESS else "destroys"


def _params(found: Help) -> tuple[Param, ...]:
    taken: set[str] = set()
    text, texts = (
        shape_of({"type": "string"}),
        shape_of({"type": "array", "items": {"type": "string"}}),
    )
    params: list[Param] = []
    for name, several in found.positionals:
        key = unique(identifier(name, otherwise="word"), taken)
        taken.add(key)
        shape = texts if several else text
        params.append(
            Param(key, name, or_none(shape.annotation), required=False,
                  description=f"{title(name)}.",
                  place="words" if several else "word", type_name=shape.type_name, wrong=5)
        )  # fmt: skip
    for option in found.options:
        key = unique(identifier(option.flag.lstrip("-"), otherwise="option"), taken)
        taken.add(key)
        flag = not option.value
        annotation = Code("bool") if flag else or_none(text.annotation)
        params.append(
            Param(key, option.flag, annotation, required=False, default=False if flag else None,
                  description=option.about or f"The option {option.flag}.",
                  place="flag" if flag else "option", type_name="boolean" if flag else "string",
                  wrong="perhaps" if flag else 5)
        )  # fmt: skip
    return tuple(params)


def _settings(program: str) -> tuple[Setting, ...]:
    text = shape_of({"type": "string"}).annotation
    example = program if re.fullmatch(r"[A-Za-z0-9_.+-]+", program) else "program"
    return (
        Setting("program", text, program, "The program that the tools start.", example=example),
        Setting("timeout", Code("float"), 60.0, "Longest time it may run, in seconds.",
                example="60"),
        Setting("max_bytes", Code("int"), 200_000, "Most output that is passed on, in bytes.",
                example="200000"),
        Setting("folder", text, "", "Folder to start it in; the server's own where it is empty.",
                example="/srv/work"),
    )  # fmt: skip
