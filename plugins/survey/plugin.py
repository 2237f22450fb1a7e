"""Several searches in one call, with the pages read and cut down to what matters."""

import re
from urllib.parse import urlsplit, urlunsplit


def plain(url):
    """Return an address by which the same page is known again."""
    parts = urlsplit(url)
    host_name = parts.netloc.lower().removeprefix("www.")
    return urlunsplit(("", host_name, parts.path.rstrip("/"), parts.query, ""))


def words(text):
    return {word for word in re.findall(r"\w+", text.lower()) if len(word) > 3}


def passages(text, question, most):
    """Return the paragraphs that share most words with a question, in the order of the page."""
    wanted = words(question)
    paragraphs = [p.strip() for p in re.split(r"\n\s*\n", text) if len(p.strip()) > 40]
    scored = [(len(wanted & words(p)), -i, p) for i, p in enumerate(paragraphs)]
    best = sorted((s for s in scored if s[0]), reverse=True)[:most]
    return [p[:800] for _, _, p in sorted(best, key=lambda s: -s[1])]


@tool
def survey(questions: list[str], pages: int = 3, passages_a_page: int = 2) -> dict:
    """Search the web for several questions at once and return the passages that answer them.

    For each question the best pages are read, each page once even if several questions find it,
    and only the paragraphs closest to the question are returned, with their addresses.
    """
    searches = host.call_tools(
        [("search__web_search", {"query": question, "count": 8}) for question in questions]
    )
    chosen, problems = {}, []
    for question, found in zip(questions, searches):
        if isinstance(found, host.CallError):
            problems.append(f"{question}: {found}")
            continue
        fresh = [hit for hit in found["hits"] if plain(hit["url"]) not in chosen]
        for hit in fresh[:pages]:
            chosen[plain(hit["url"])] = (question, hit)
    host.progress(1, 2, f"reading {len(chosen)} pages")
    texts = host.call_tools(
        [("search__fetch", {"url": hit["url"], "max_chars": 40000}) for _, hit in chosen.values()]
    )
    answers = {question: [] for question in questions}
    for (question, hit), page in zip(chosen.values(), texts):
        if isinstance(page, host.CallError):
            problems.append(f"{hit['url']}: {page}")
            continue
        found = passages(page["text"], question, passages_a_page)
        if found:
            entry = {"title": page.get("title") or hit["title"], "url": page["url"]}
            answers[question].append(entry | {"passages": found})
    return {"answers": answers, "problems": problems}
