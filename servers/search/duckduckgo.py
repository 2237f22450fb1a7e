"""DuckDuckGo, asked without a key by way of its HTML page, which the `ddgs` package reads."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import anyio
import anyio.to_thread
from typing_extensions import override

from servers.search.provider import Hit, Question, plain_text
from servers.tool import RefusalError

if TYPE_CHECKING:
    from ddgs.results import TextResult

_LIMITED = {202, 403, 418, 429}
"""What DuckDuckGo answers to programs that ask too often; 202 comes with a riddle."""
_RIDDLE = "anomaly-modal"
_LONGEST = 4_000_000
"""Bytes of a page of results, unpacked; real ones have a hundredth of it."""


@dataclass(frozen=True)
class DuckDuckGo:
    """DuckDuckGo's results."""

    url: str
    timeout: float
    name: str = field(default="duckduckgo", init=False)

    async def search(self, question: Question) -> list[Hit]:
        """Ask in a thread, since `ddgs` blocks; a thread that hangs is left to its own timeout."""
        try:
            with anyio.fail_after(self.timeout):
                return await anyio.to_thread.run_sync(self._ask, question, abandon_on_cancel=True)
        except TimeoutError as error:
            raise RefusalError(
                f"DuckDuckGo did not answer within {self.timeout:g} s.", "Try again later."
            ) from error

    def _ask(self, question: Question) -> list[Hit]:
        from primp import PrimpError  # noqa: PLC0415 - loads a native HTTP client

        answer = _Answer()
        try:
            rows: list[TextResult] | None = _engine(self.url, self.timeout, answer).search(
                question.text,
                region=question.region or "wt-wt",
                safesearch={"strict": "on"}.get(question.safe, question.safe),
                timelimit=question.freshness[0] if question.freshness else None,
                page=question.page,
            )
        except PrimpError as error:
            raise RefusalError(
                f"DuckDuckGo could not be reached ({error}).", "Check the network connection."
            ) from error
        if answer.status in _LIMITED or _RIDDLE in answer.text:
            raise RefusalError(
                "DuckDuckGo takes this machine for a robot and answers no searches for now.",
                "Try again in some minutes, or configure another provider.",
            )
        if answer.status != 200:
            raise RefusalError(f"DuckDuckGo failed (HTTP {answer.status}).", "Try again later.")
        if not answer.kind.startswith(("text/html", "application/xhtml")):
            raise RefusalError(
                f"DuckDuckGo answered with {answer.kind or 'something unnamed'}, not with a page.",
                "Try again later, or configure another provider.",
            )
        return [_hit(row) for row in rows or [] if row.href][: question.count]


@dataclass
class _Answer:
    status: int = 0
    kind: str = ""
    text: str = ""


def _engine(url: str, timeout: float, answer: _Answer) -> Any:  # noqa: ANN401 - a class of ddgs made here
    """Return ddgs's own DuckDuckGo engine, keeping the status that it would drop.

    Its client looks like a browser's, which DuckDuckGo asks for. What it would do on its own is
    taken from it: to follow redirects, wherever they lead, and to read answers of any size.
    """
    from ddgs.engines.duckduckgo import Duckduckgo  # noqa: PLC0415 - loads a native HTTP client

    class Engine(Duckduckgo):
        search_url = url

        @override
        def request(self, *args: Any, **kwargs: Any) -> str | None:
            client = self.http_client.client
            client.follow_redirects = False
            with client.request(*args, stream=True, **kwargs) as response:
                answer.status = response.status_code
                answer.kind = response.headers.get("content-type", "")
                answer.text = _read(response.iter_bytes())
            return answer.text if answer.status == 200 and answer.text else None

    return Engine(timeout=max(1, int(timeout)))


def _read(chunks: Iterable[bytes]) -> str:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > _LONGEST:
            raise RefusalError(
                f"DuckDuckGo answered with more than {_LONGEST} bytes.", "Try another provider."
            )
    return body.decode("utf-8", "replace")


def _hit(row: "TextResult") -> Hit:
    url = row.href
    parts = urlsplit(url)
    if parts.path == "/l/":  # its own redirect, with the target inside
        url = parse_qs(parts.query).get("uddg", [url])[0]
    return Hit(title=plain_text(row.title), url=url, snippet=plain_text(row.body))
