"""Finds text that gives orders to the model instead of describing a tool.

What is `danger` has no honest use in a definition; what honest servers say too ("call this first")
is a `warning`. Text is looked at as a model reads it: hidden characters out, look-alikes folded.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import re2

from host.pins.finding import Severity, visible
from host.pins.hidden import decode_hidden, strip_hidden
from host.pins.lookalike import fold_letters

_re2: Any = re2


@dataclass(frozen=True, slots=True)
class Phrase:
    """A way of speaking to the model.

    Attributes:
        pattern: Compiled by RE2, since the text is a stranger's and may be long.
    """

    severity: Severity
    detail: str
    pattern: Any

    def search(self, text: str) -> str | None:
        """Return where a text speaks so."""
        found = self.pattern.search(text.encode("utf-8", "replace"))
        return None if found is None else found[0].decode("utf-8", "replace")


def _phrase(severity: Severity, detail: str, pattern: str) -> Phrase:
    return Phrase(severity, detail, _re2.compile("(?i)" + pattern))


_NOT = r"(?:do\s+not|don'?t|must\s+not|should\s+not|never|without|avoid)"
_PERSON = (
    r"(?:the\s+|your\s+|any\s+)?(?:end[\s-]?)?"
    r"(?:users?|humans?|persons?|people|anyone|anybody|them)"
)
_RULES = r"(?:instructions?|prompts?|rules?|guidelines?|directives?|constraints?|safety\s+\w+)"
_TALK = (
    r"(?:(?:entire|full|whole|complete|previous|all|current)\s+)*"
    r"(?:conversation|chat|message|dialogue)(?:\s+(?:history|log|context|transcript|messages))?"
)
_KEYS = (
    r"(?:~/\.ssh|id_rsa|id_ed25519|\.aws/credentials|\.cursor/mcp\.json|mcp\.json|\.env\b|"
    r"/etc/(?:passwd|shadow)|\.netrc|\.npmrc|\.pypirc|claude_desktop_config|(?:private|api|ssh)"
    r"[\s_-]keys?|passwords?|credentials?|environment\s+variables|system\s+prompt)"
)

PHRASES = (
    _phrase(
        "danger",
        "tells the model to drop its instructions",
        r"\b(?:ignore|disregard|forget|override|bypass|discard)\s+(?:\w+\s+){0,3}?"
        r"(?:previous|prior|above|earlier|preceding|former|other|existing|your|system|safety|all)"
        rf"\s+(?:\w+\s+){{0,2}}?{_RULES}\b",
    ),
    _phrase(
        "danger",
        "tells the model to hide something from the user",
        rf"\b{_NOT}\s+(?:\w+\s+){{0,2}}?(?:tell(?:ing)?|inform(?:ing)?|notify(?:ing)?|"
        rf"alert(?:ing)?|reveal(?:ing)?(?:\s+(?:this|it|that))?(?:\s+to)?|"
        rf"(?:mention|show|disclose|explain)(?:ing)?\s+(?:any\s+of\s+)?(?:this|it|that|these)"
        rf"\s+to|mention(?:ing)?\s+to)\s+{_PERSON}\b",
    ),
    _phrase(
        "warning",
        "tells the model to keep something back from the user",
        rf"\b{_NOT}\s+(?:mention|show|disclose|explain)(?:ing)?\s+(?:\w+\s+){{1,3}}?to\s+{_PERSON}\b",
    ),
    _phrase(
        "danger",
        "tells the model to hide something from the user",
        r"\b(?:keep|hide|conceal)\s+(?:\w+\s+){0,4}?(?:secret|hidden|concealed|quiet)?\s*from\s+"
        r"(?:the\s+|your\s+)?(?:users?|humans?)\b",
    ),
    _phrase(
        "danger",
        "imitates the marks between a model's messages",
        r"<\|(?:im_start|im_end|system|user|assistant|endoftext|eot_id)\|?>|\[/?INST\]|<</?SYS>>"
        r"|</?(?:system|system_prompt|system-reminder|secret|hidden)>",
    ),
    _phrase(
        "danger",
        "tells the model to read secrets and hand them on",
        rf"\b(?:read|open|cat|fetch|load|get|access|retrieve)\b[^.\n]{{0,80}}{_KEYS}"
        r"[^\n]{0,160}\b(?:pass|send|include|provide|put|append|attach|submit|forward|return)\b"
        r"[^.\n]{0,60}\b(?:as|in|to|with|into)\b",
    ),
    _phrase(
        "danger",
        "asks the model to pass secrets on",
        r"\b(?:pass|send|include|put|append|attach|submit|forward|copy|place|insert)\b"
        rf"[^.\n]{{0,40}}(?:contents?\s+of\s+[^.\n]{{0,20}}{_KEYS}|system\s+prompt)",
    ),
    _phrase(
        "warning",
        "asks the model to pass the conversation on",
        rf"\b(?:pass|send|include|put|append|attach|submit|forward|copy)\b[^.\n]{{0,40}}"
        rf"\b(?:the|your|all|this|entire|full|whole)\s+{_TALK}\b",
    ),
    _phrase(
        "warning",
        "wants to come before or in place of other tools",
        r"\b(?:before|prior\s+to|instead\s+of|in\s+place\s+of)\s+(?:\w+\s+){0,3}?"
        r"(?:any|all|every|each|other)\s+(?:\w+\s+){0,2}?(?:tools?|functions?|servers?)\b",
    ),
    _phrase(
        "warning",
        "changes how another tool is to be used",
        r"\b(?:when(?:ever)?|if|each\s+time)\s+(?:\w+\s+){0,4}?(?:calls?|using|uses?|invok\w+)\s+"
        r"(?:the\s+)?(?:\w+\s+)?(?:`?\w+[_.-]\w+`?\s+)(?:tool|function)?"
        r"[^.\n]{0,60}\b(?:must|also|always)\b",
    ),
    _phrase(
        "warning",
        "changes how another tool is to be used",
        r"\b(?:when(?:ever)?|if|each\s+time)\s+(?:the\s+)?`?\w+[_.-]\w+`?\s+(?:tool\s+|function\s+)?"
        r"is\s+(?:\w+\s+)?(?:called|used|invoked)\b[^.\n]{0,60}\b(?:must|also|always)\b",
    ),
    _phrase(
        "warning", "is set off as an order", r"<(?:important|critical|instructions?|attention)>"
    ),
    _phrase(
        "warning",
        "goes round the user's consent",
        r"\bwithout\s+(?:asking|confirm\w*|permission|approval|consent|prompting)\b[^.\n]{0,30}"
        r"\b(?:user|human|them)\b|\b(?:skip|bypass)\s+(?:\w+\s+){0,2}?(?:confirmation|approval)s?\b",
    ),
    _phrase(
        "warning",
        "speaks of the model's own instructions",
        r"\b(?:your|the\s+model'?s|the\s+assistant'?s)\s+(?:system\s+prompt|hidden\s+instructions)\b",
    ),
    _phrase("warning", "holds a long encoded text", r"[A-Za-z0-9+/]{240,}={0,2}"),
)


def find_phrases(texts: Iterable[str]) -> Iterator[tuple[int, Phrase, str]]:
    """Yield each way in which texts address the model: which text, how, and its words.

    What is hidden in characters without a glyph is read as well.
    """
    read = [_as_read(text) for text in texts]
    # Most texts say nothing of the kind, and one search of all is faster than one of each.
    suspects = [phrase for phrase in PHRASES if phrase.search("\n".join(read)) is not None]
    for phrase in suspects:
        for index, text in enumerate(read):
            found = phrase.search(text)
            if found is not None:
                yield index, phrase, visible(" ".join(found.split()), most=160)


def _as_read(text: str) -> str:
    """Return a text as a model reads it, what is hidden in it after it."""
    if text.isascii():
        return text
    secret = decode_hidden(text)
    plain = fold_letters(strip_hidden(text)).replace("\u2019", "'")
    return f"{plain}\n{secret}" if secret else plain
