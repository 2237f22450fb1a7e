"""Questions about CSV files: which columns, which rows, how much in all."""

from decimal import Decimal, InvalidOperation


def parse(text, separator=None):
    """Return the rows of a CSV text; fields may be quoted, and then hold separators and lines."""
    first = text.split("\n", 1)[0]
    mark = separator or max(",;\t|", key=first.count)
    rows, row, field = [], [], []
    quoted, position = False, 0
    while position < len(text):
        letter = text[position]
        if quoted and letter == '"' and text[position + 1 : position + 2] == '"':
            field.append('"')
            position += 1
        elif letter == '"':
            quoted = not quoted
        elif quoted or letter not in (mark, "\n", "\r"):
            field.append(letter)
        elif letter != "\r":
            row.append("".join(field))
            field = []
            if letter == "\n":
                rows.append(row)
                row = []
        position += 1
    if field or row:
        rows.append([*row, "".join(field)])
    return [row for row in rows if any(row)]


def read(path):
    """Return the records of a file, by column."""
    parts, line = [], 1
    while line is not None:
        page = host.call_tool("files__read_text", path=path, first_line=line)
        parts.append(page["text"])
        line = page.get("next_line")
        if line is not None:
            host.progress(line, page["total_lines"], "reading")
    rows = parse("".join(parts))
    if not rows:
        raise ValueError(f"{path} has no rows")
    names = [name.strip() for name in rows[0]]
    return [dict(zip(names, row)) for row in rows[1:]]


def number(value):
    """Return a field as a number, None if it is none."""
    try:
        return Decimal(value.replace("_", "").replace(" ", ""))
    except (InvalidOperation, AttributeError):
        return None


def known(records, *names):
    """See that columns are there."""
    have = list(records[0]) if records else []
    for name in names:
        if name and name not in have:
            raise ValueError(f"there is no column {name!r}; there are {', '.join(have)}")


def holds(record, column, comparison, value):
    """Whether a record fulfils a condition; numbers are compared as numbers."""
    left, right = record.get(column, ""), value
    if comparison == "contains":
        return right.lower() in left.lower()
    if number(left) is not None and number(right) is not None:
        left, right = number(left), number(right)
    match comparison:
        case "=":
            return left == right
        case "!=":
            return left != right
        case "<":
            return left < right
        case ">":
            return left > right
        case _:
            raise ValueError("comparison is one of =, !=, <, >, contains")


@tool
def describe(path: str) -> dict:
    """Say which columns a CSV file has: how many values, and the range of numbers in each."""
    records = read(path)
    columns = {}
    for name in records[0] if records else []:
        values = [record.get(name, "") for record in records]
        filled = [value for value in values if value]
        numbers = [n for n in map(number, filled) if n is not None]
        about = {"filled": len(filled), "different": len(set(filled))}
        if filled and len(numbers) == len(filled):
            about |= {"least": str(min(numbers)), "most": str(max(numbers))}
        else:
            about["such_as"] = filled[:3]
        columns[name] = about
    return {"rows": len(records), "columns": columns}


@tool
def query(
    path: str,
    column: str = "",
    comparison: str = "=",
    value: str = "",
    group_by: str = "",
    total: str = "",
    sort_by: str = "",
    descending: bool = True,
    limit: int = 20,
) -> dict:
    """Filter the rows of a CSV file, and count or add up what remains.

    column, comparison (=, !=, <, >, contains) and value choose rows. group_by counts the rows for
    each value of a column; with total, the numbers of that column are added up as well. Without
    group_by the rows themselves are returned, sorted by sort_by; at most limit of them.
    """
    records = read(path)
    known(records, column, group_by, total, sort_by)
    chosen = [r for r in records if not column or holds(r, column, comparison, value)]
    if not group_by:
        if sort_by:
            chosen.sort(key=lambda r: sort_key(r.get(sort_by, "")), reverse=descending)
        found = {"matching": len(chosen), "rows": chosen[:limit]}
        return found | ({"total": str(add_up(chosen, total))} if total else {})
    groups = {}
    for record in chosen:
        groups.setdefault(record.get(group_by, ""), []).append(record)
    rows = [
        {group_by: name, "rows": len(members)}
        | ({"total": str(add_up(members, total))} if total else {})
        for name, members in groups.items()
    ]
    rows.sort(key=lambda r: sort_key(r["total"]) if total else (0, r["rows"]), reverse=descending)
    return {"matching": len(chosen), "groups": rows[:limit]}


def add_up(records, column):
    return sum((number(r.get(column, "")) or Decimal(0) for r in records), Decimal(0))


def sort_key(value):
    found = number(value)
    return (1, value) if found is None else (0, found)
