"""Builds the nested view of a folder and writes it as indented lines."""

from typing import cast

from servers.files.beneath import Parts
from servers.files.globs import parse_globs
from servers.files.results import Kind, Node
from servers.files.rooted import Place
from servers.files.walking import Listing, walk


def build_tree(
    place: Place, *, gitignore: bool, exclude: tuple[str, ...], depth: int, limit: int
) -> tuple[list[Node], bool]:
    """Build the tree below a folder; returns it and whether nothing is left out.

    Args:
        place: The folder.
        gitignore: Leave out what `.gitignore` files name.
        exclude: Globs of what else to leave out.
        depth: Levels shown.
        limit: Entries shown.
    """
    globs = parse_globs(exclude)
    above = len(place.parts)
    top: list[Node] = []
    nodes: dict[Parts, list[Node]] = {place.parts: top}
    count, complete = 0, True
    for listing in walk(place, gitignore=gitignore, enter=lambda parts: parts in nodes):
        into = nodes.get(listing.parts)
        if into is None:
            continue
        for name, kind in _named(listing):
            parts = (*listing.parts, name)
            if exclude and globs.match(parts[above:]):
                continue
            if count == limit:
                return top, False
            count += 1
            # Not validated: the walk made these values, and there may be very many.
            node = Node.model_construct(name=name, kind=kind)
            into.append(node)
            if kind == "folder" and len(parts) - above < depth:
                node.children = []
                nodes[parts] = node.children
            elif kind == "folder":
                complete = False
    return top, complete


def _named(listing: Listing) -> list[tuple[str, Kind]]:
    found = [
        *((name, "folder") for name in listing.folders),
        *((name, "file") for name in listing.files),
        *listing.others.items(),
    ]
    return [(name, cast("Kind", kind)) for name, kind in sorted(found)]


def render_tree(children: list[Node], indent: str = "") -> str:
    """Write a tree as indented names, folders with a slash at the end."""
    lines: list[str] = []
    for node in children:
        lines.append(f"{indent}{node.name}{'/' if node.kind == 'folder' else ''}")
        if node.children:
            lines.append(render_tree(node.children, indent + "  "))
    return "\n".join(lines)
