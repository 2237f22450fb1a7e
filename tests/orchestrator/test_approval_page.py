"""Approvals answered on a page, by a real request over the loopback."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from host.approvals.approval import Approval
from host.approvals.passphrase import Passphrase
from host.domain.principal import Principal
from host.orchestrator.approval_page import ApprovalPages
from tests.approvals.desks import ANN, Office, call, open_office

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Scene:
    office: Office
    pages: ApprovalPages
    passphrase: Passphrase

    async def link(self, *, who: Principal = ANN, **fields: Any) -> tuple[Approval, str]:
        approval = await self.office.desk.ask(call(**fields))
        assert isinstance(approval, Approval)
        return approval, await self.pages.link(approval, who)

    async def state(self, approval: Approval) -> str:
        return (await self.office.inbox.find(approval.id)).state


@asynccontextmanager
async def scene_of(folder: Path) -> AsyncGenerator[Scene]:
    async with open_office(folder) as office:
        passphrase = Passphrase(office.store)
        pages = ApprovalPages(office.inbox, passphrase, office.sealer, life=lambda: 600)
        try:
            yield Scene(office, pages, passphrase)
        finally:
            await pages.close()


async def opened(browser: httpx.AsyncClient, url: str) -> tuple[str, str]:
    """Open a page as a browser does, and return it and its token."""
    page = await browser.get(url)
    assert page.status_code == 200
    token = re.search('name="token" value="([^"]+)"', page.text)
    assert token is not None
    return page.text, token[1]


async def test_the_page_shows_the_call_escaped_and_nothing_else_is_loaded(empty_store_folder: Path):
    hostile = {"to": "<script>alert(1)</script>", "text": "gnp\u202etxt"}
    async with scene_of(empty_store_folder) as scene, httpx.AsyncClient() as browser:
        approval, url = await scene.link(arguments=hostile, reasons=("<i>why",))
        assert url.startswith("http://127.0.0.1:")
        text, _ = await opened(browser, url)
        assert "<script>" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
        assert "gnp\\u202etxt" in text
        assert "&lt;i&gt;why" in text
        assert approval.digest[:12] in text
        again = await browser.get(url)
        assert "default-src 'none'" in again.headers["content-security-policy"]
        assert again.headers["cache-control"] == "no-store"


async def test_a_form_approves_edits_and_grants_once(empty_store_folder: Path):
    async with scene_of(empty_store_folder) as scene, httpx.AsyncClient() as browser:
        approval, url = await scene.link()
        _, token = await opened(browser, url)
        form = {"token": token, "answer": "same", "arguments": '{"to": "ann"}'}
        for wrong, said in (
            ({"answer": "sure"}, "Choose one"),
            ({"arguments": "[1]"}, "no object"),
        ):
            refused = await browser.post(url, data={**form, **wrong})
            assert (refused.status_code, said in refused.text) == (422, True)
        assert await scene.state(approval) == "pending"
        done = await browser.post(url, data=form)
        assert (done.status_code, "is approved" in done.text) == (200, True)
        passed = await scene.office.desk.admit(call())
        assert (passed.arguments, passed.channel) == ({"to": "ann"}, "web")
        assert len(await scene.office.inbox.grants()) == 1
        again = await browser.post(url, data=form)
        assert again.status_code == 403
        assert "is consumed" in (await browser.get(url)).text


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({"origin": "http://evil.example"}, {}),
        ({"origin": "null"}, {}),
        ({"sec-fetch-site": "cross-site"}, {}),
        ({"cookie": "approval=guess"}, {}),
        ({}, {"token": "guess"}),
        ({}, {"token": ""}),
    ],
)
async def test_a_form_of_another_page_does_not_count(
    empty_store_folder: Path, headers: dict[str, str], fields: dict[str, str]
):
    async with scene_of(empty_store_folder) as scene, httpx.AsyncClient() as browser:
        approval, url = await scene.link()
        _, token = await opened(browser, url)
        form = {"token": token, "answer": "once", **fields}
        if "cookie" in headers:
            browser.cookies.clear()
        refused = await browser.post(url, data=form, headers=headers)
        assert refused.status_code == 403
        assert await scene.state(approval) == "pending"


async def test_a_link_is_good_for_the_first_browser_and_under_this_address_only(
    empty_store_folder: Path,
):
    async with scene_of(empty_store_folder) as scene:
        _, url = await scene.link()
        async with httpx.AsyncClient() as browser, httpx.AsyncClient() as another:
            await opened(browser, url)
            refused = await another.get(url)
            assert (refused.status_code, "another browser" in refused.text) == (403, True)
            rebound = await browser.get(url, headers={"host": "evil.example"})
            assert rebound.status_code == 404
            await opened(browser, url)
            forged = url[:-4] + ("AAAA" if url[-4:] != "AAAA" else "BBBB")
            assert (await another.get(forged)).status_code == 403
            assert (await another.get(url.partition("/approve/")[0])).status_code == 403


async def test_a_request_state_is_no_link(empty_store_folder: Path):
    async with scene_of(empty_store_folder) as scene, httpx.AsyncClient() as browser:
        approval, url = await scene.link()
        state = scene.office.sealer.seal({"approval": {"id": approval.id}}, life=60)
        found = await browser.get(f"{url.partition('/approve/')[0]}/approve/{state}")
        assert (found.status_code, "not one that" in found.text) == (403, True)


async def test_the_page_asks_for_the_passphrase_where_one_is_set(empty_store_folder: Path):
    async with scene_of(empty_store_folder) as scene, httpx.AsyncClient() as browser:
        await scene.passphrase.set("open sesame", current=None)
        approval, url = await scene.link()
        text, token = await opened(browser, url)
        assert 'type="password"' in text
        form = {"token": token, "answer": "once"}
        for guess in ({}, {"passphrase": "wrong"}):
            refused = await browser.post(url, data={**form, **guess})
            assert (refused.status_code, "missing or wrong" in refused.text) == (422, True)
        assert await scene.state(approval) == "pending"
        await browser.post(url, data={**form, "passphrase": "open sesame"})
        assert await scene.state(approval) == "approved"


async def test_the_page_counts_only_for_those_whom_the_rule_names(empty_store_folder: Path):
    async with scene_of(empty_store_folder) as scene, httpx.AsyncClient() as browser:
        approval, url = await scene.link(approvers=(frozenset({"role:admin"}),))
        _, token = await opened(browser, url)
        refused = await browser.post(url, data={"token": token, "answer": "once"})
        assert (refused.status_code, "role:admin" in refused.text) == (422, True)
        assert await scene.state(approval) == "pending"


async def test_what_was_answered_elsewhere_is_shown_and_not_answered_again(
    empty_store_folder: Path,
):
    async with scene_of(empty_store_folder) as scene, httpx.AsyncClient() as browser:
        approval, url = await scene.link()
        _, token = await opened(browser, url)
        await scene.office.answer(approval, approve=False)
        late = await browser.post(url, data={"token": token, "answer": "once"})
        assert (late.status_code, "denied already" in late.text) == (409, True)
        assert "is denied" in (await browser.get(url)).text
