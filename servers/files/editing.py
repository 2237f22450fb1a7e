"""Applies exact replacements to a text and shows the difference; pure functions, no files."""

import difflib
import re
from dataclasses import dataclass

from servers.tool import RefusalError

_MOST_COMPARED_LINES = 4000
"""Changed lines compared one by one; more are shown as one block, as difflib is quadratic."""


@dataclass(frozen=True)
class Edit:
    """One replacement."""

    old: str
    new: str
    all: bool = False
    """Replace every place; otherwise `old` must be there exactly once."""
    ignore_indent: bool = False
    """When `old` is not there exactly: match whole lines, space around each ignored."""


def apply_edits(text: str, edits: list[Edit], newline: str) -> str:
    r"""Apply edits one after the other.

    Args:
        text: The file's text.
        edits: The replacements; each sees the result of those before it.
        newline: The file's line end; `\n` in an edit stands for it.

    Raises:
        RefusalError: Which edit did not fit, and why; nothing is applied then.
    """
    for number, edit in enumerate(edits, 1):
        text = _apply(text, edit, number, newline)
    return text


def _apply(text: str, edit: Edit, number: int, newline: str) -> str:
    old, new = (_with_newline(part, newline) for part in (edit.old, edit.new))
    if not old:
        raise RefusalError(f"Edit {number}: `old` is empty.", "Use `write` or `append` instead.")
    count = text.count(old)
    if count == 1 or (count and edit.all):
        return text.replace(old, new)
    if count:
        lines = ", ".join(str(n) for n in _line_numbers(text, old)[:5])
        raise RefusalError(
            f"Edit {number}: `old` is there {count} times (lines {lines}).",
            "Take in more lines around it, or set all: true.",
        )
    if edit.ignore_indent:
        return _apply_to_lines(text, old, new, number, newline)
    raise _explain_absent(text, old, number)


def _with_newline(part: str, newline: str) -> str:
    plain = part.replace("\r\n", "\n")
    return plain.replace("\n", newline) if newline != "\n" else plain


def _line_numbers(text: str, old: str) -> list[int]:
    found: list[int] = []
    at = text.find(old)
    while at >= 0 and len(found) < 6:
        found.append(text.count("\n", 0, at) + 1)
        at = text.find(old, at + len(old))
    return found


def _explain_absent(text: str, old: str, number: int) -> RefusalError:
    """Say whether only white space differs, else which line is nearest."""
    places = _find_lines(text.split("\n"), old.split("\n"))
    if places:
        return RefusalError(
            f"Edit {number}: `old` differs from line {places[0] + 1} only in white space.",
            "Copy the lines exactly as `read_text` shows them, or set ignore_indent: true.",
        )
    wanted = next((line.strip() for line in old.split("\n") if line.strip()), "")
    lines = text.split("\n")[:20_000]
    near = difflib.get_close_matches(wanted, {x.strip() for x in lines}, n=1, cutoff=0.75)
    where = next((i for i, x in enumerate(lines, 1) if near and x.strip() == near[0]), 0)
    hint = f"Line {where} is nearest: {near[0][:200]!r}." if near else "Read the file again."
    return RefusalError(f"Edit {number}: `old` is not in the file.", hint)


def _find_lines(lines: list[str], wanted: list[str]) -> list[int]:
    """Where a run of lines equals the wanted ones but for the space around each."""
    bare = [line.strip() for line in wanted]
    if not any(bare):
        return []
    have = [line.strip() for line in lines]
    size = len(bare)
    return [
        i for i in range(len(have) - size + 1) if have[i] == bare[0] and have[i : i + size] == bare
    ]


def _apply_to_lines(text: str, old: str, new: str, number: int, newline: str) -> str:
    """Replace the one run of lines that matches but for indentation; indent the new ones alike."""
    lines, wanted = text.split(newline), old.split(newline)
    # A trailing line end in `old` is an empty last line, which would have to match too.
    if wanted[-1] == "" and new.endswith(newline):
        wanted, new = wanted[:-1], new.removesuffix(newline)
    places = _find_lines(lines, wanted)
    if len(places) != 1:
        raise (
            _explain_absent(text, old, number)
            if not places
            else RefusalError(
                f"Edit {number}: {len(places)} places match `old` but for white space.",
                "Take in more lines around it.",
            )
        )
    start = places[0]
    shift = _indent(lines[start]), _indent(wanted[0])
    moved = [_shifted(line, *shift) for line in new.split(newline)]
    return newline.join([*lines[:start], *moved, *lines[start + len(wanted) :]])


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _shifted(line: str, have: str, given: str) -> str:
    """Re-indent a new line: the indentation the caller assumed becomes the file's."""
    if not line.strip():
        return line
    return have + line.removeprefix(given) if line.startswith(given) else have + line.lstrip()


def render_diff(old: str, new: str, name: str) -> str:
    """Write a unified diff; empty when nothing differs."""
    before, after = _diff_lines(old), _diff_lines(new)
    start, end = _common_ends(before, after)
    middle = len(before) + len(after) - 2 * (start + end)
    if middle > _MOST_COMPARED_LINES:
        return _block_diff(before, after, (start, end), name)
    context = 3
    low, high = max(start - context, 0), max(end - context, 0)
    hunk = difflib.unified_diff(
        before[low : len(before) - high], after[low : len(after) - high], name, name, n=context
    )
    shifted = (re.sub(r"^@@ -(\d+)(\S*) \+(\d+)", lambda m: _moved(m, low), line) for line in hunk)
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for line in shifted
    )


def _moved(match: re.Match[str], by: int) -> str:
    return f"@@ -{int(match[1]) + by}{match[2]} +{int(match[3]) + by}"


def _diff_lines(text: str) -> list[str]:
    parts = text.split("\n")
    return [f"{p}\n" for p in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _common_ends(before: list[str], after: list[str]) -> tuple[int, int]:
    """How many lines at the start and at the end are the same."""
    most = min(len(before), len(after))
    start = next((i for i in range(most) if before[i] != after[i]), most)
    most -= start
    end = next((i for i in range(most) if before[-1 - i] != after[-1 - i]), most)
    return start, end


def _block_diff(before: list[str], after: list[str], ends: tuple[int, int], name: str) -> str:
    start, end = ends
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    head = f"@@ -{start + 1},{len(old)} +{start + 1},{len(new)} @@\n"
    marked = [f"-{x.rstrip(chr(10))}\n" for x in old] + [f"+{x.rstrip(chr(10))}\n" for x in new]
    return f"--- {name}\n+++ {name}\n{head}{''.join(marked)}"
