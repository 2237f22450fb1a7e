"""The step between the decision and the call: whoever may is asked, and the call waits for them.

A client of the stateless era is asked by `input_required`. What it brings back is sealed, bound to
the call, and carries what the server itself gave out before, so that both kinds of questions can
follow each other.
"""

import secrets
from collections import OrderedDict
from collections.abc import Callable

from host.approvals.approval import Answer, Approval, Pass, may_answer, standing
from host.approvals.board import Board
from host.approvals.desk import Desk, Offer
from host.approvals.elicitation import build_question, read_answer, shown_by
from host.approvals.inbox import Inbox
from host.approvals.page import page_question
from host.domain.errors import AccessError, ApprovalPendingError, DeniedError, EditError
from host.domain.jsonrpc import INVALID_PARAMS, Json, RpcError, as_object
from host.domain.protocol import INTERACTIVE_METHODS, object_member
from host.gateway.asked import Admission, Asked, refusal
from host.gateway.exchange import Exchange
from host.gateway.rounds import PARKED_LIFE, binding, open_state
from host.secrets.seal import Sealer

QUESTION = "approval"
"""Key under which a stateless client is asked."""
ROUNDS_LIMIT = 1000
"""Calls let through by a grant whose server's question is open; each may go on once."""
_STATE = ("requestState", "inputResponses")


class ApprovalStep:
    """Lets a call through that a rule asks about.

    Args:
        board: The open approvals.
        desk: Where calls are brought.
        inbox: Where answers go.
        sealer: Seals request states.
    """

    def __init__(self, board: Board, desk: Desk, inbox: Inbox, *, sealer: Sealer) -> None:
        self._board = board
        self._desk = desk
        self._inbox = inbox
        self._sealer = sealer
        self._granted: OrderedDict[str, Pass] = OrderedDict()

    def read_state(self, exchange: Exchange, method: str, params: Json) -> Json:
        """Return what a stateless client brought back, opened.

        Raises:
            RpcError: It is not ours, has expired, or belongs to another call.
        """
        if not exchange.stateless or "requestState" not in params:
            return {}
        return open_state(self._sealer, exchange, method, params)

    async def admit(self, asked: Asked) -> Admission:
        """Return once a call may be made, or what the client has to be asked first.

        Raises:
            DeniedError: Somebody said no, or nobody said yes in time.
            ApprovalPendingError: It still waits at the caller's deadline.
            OutcomeUnknownError: It was approved and made before, and cut off by a crash.
            RpcError: The state that the client brought back was used before.
        """
        decision, held = asked.said.decision, asked.held
        if "nonce" in held:
            return await self._next_round(asked)
        asks = decision is not None and decision.action == "ask"
        if "parked" in asked.state or not (asks or held):
            # A parked call was let through before; the client brings its server an answer.
            return Admission(asked.goal.params)
        if asked.exchange.stateless and (held or self._may_offer(asked)):
            found = await self._by_rounds(asked)
            if isinstance(found, Admission):
                return found
        else:
            offer = self._offer(asked) if self._may_offer(asked) else None
            try:
                found = await self._desk.admit(
                    asked.call,
                    offer=offer,
                    tell=_tell(asked.exchange),
                    recheck=asked.recheck,
                    keep=asked.exchange.face != "plugin",  # its own call would be made again
                )
            finally:
                for name in asked.pages:
                    done = {"elicitationId": name}
                    asked.exchange.notify("notifications/elicitation/complete", done)
        return await self._admitted(asked, found)

    async def close_round(
        self, asked: Asked, admission: Admission, result: Json, *, params: Json
    ) -> Json:
        """Note how an approved call ended, and return its result.

        Where its server asks something, the approval goes on in the state that the client gets.
        """
        passed = admission.passed
        if passed is None:
            return result
        if result.get("resultType") != "input_required":
            outcome = "tool_error" if result.get("isError") is True else "ok"
            await self._desk.finish(passed, outcome)
            return result
        nonce = secrets.token_hex(16)
        approval: Json = {"nonce": nonce}
        if passed.approval is not None:
            approval["id"] = passed.approval
        else:
            self._granted[nonce] = passed
            while len(self._granted) > ROUNDS_LIMIT:
                self._granted.popitem(last=False)
        if passed.edited:
            approval["arguments"] = passed.arguments
        state = {"bound": binding(asked.exchange, asked.method, params), "approval": approval}
        if "requestState" in result:
            inner = self._sealer.open(result["requestState"])
            state |= {key: inner[key] for key in ("state", "parked") if key in inner}
        await self._desk.finish(passed, "input_required", nonce=nonce)
        return {**result, "requestState": self._sealer.seal(state, life=PARKED_LIFE)}

    async def fail(self, admission: Admission, outcome: str) -> None:
        """Note that an approved call failed."""
        if admission.passed is not None:
            await self._desk.finish(admission.passed, outcome)

    def _may_offer(self, asked: Asked) -> bool:
        """Whether the person at the calling client may answer, and can be asked there."""
        exchange, decision = asked.exchange, asked.said.decision
        principal = exchange.session.principal
        groups = () if decision is None else decision.approvers
        shows = shown_by(exchange.capabilities, principal)
        return (
            self._board.config.elicitation
            and (asked.method in INTERACTIVE_METHODS or not exchange.stateless)
            and (shows.forms or (shows.pages and self._pages))
            and may_answer(groups, standing(principal))
        )

    def _offer(self, asked: Asked) -> Offer:
        """Return what asks the person at a client of the handshake era."""
        exchange = asked.exchange
        arguments = asked.call.arguments

        async def offer(approval: Approval, problem: str | None) -> Answer | None:
            question = await self._params(exchange, approval, arguments, problem=problem)
            if question is None:
                return None
            try:
                reply = await exchange.ask("elicitation/create", question)
            except RpcError:
                return None  # the other ways stay open
            if question["mode"] == "url":
                asked.pages.append(approval.id)
            return read_answer(approval, reply, exchange.session.principal)

        return offer

    @property
    def _pages(self) -> bool:
        """Whether there are pages that a client could show."""
        return self._board.page is not None and self._board.config.page != "never"

    async def _params(
        self, exchange: Exchange, approval: Approval, arguments: Json, *, problem: str | None
    ) -> Json | None:
        """Return what asks the person at a client, as a form or a page; None where neither can."""
        principal = exchange.session.principal
        shows = shown_by(exchange.capabilities, principal)
        link = self._board.page if shows.pages and self._pages else None
        question: Json | None = None
        if shows.forms and not (link is not None and self._board.config.page == "always"):
            question = build_question(approval, arguments, problem=problem)
        if question is None and link is not None:
            url = await link(approval, principal)
            question = page_question(approval, url, identified=not exchange.stateless)
        return question

    async def _by_rounds(self, asked: Asked) -> Pass | Admission:
        """Serve a stateless client that can be asked: return a pass, or the question for it."""
        call, held = asked.call, asked.held
        limit = self._board.config.wait
        while True:
            if held:
                found = await self._answered(asked)
            else:
                found = await self._desk.ask(call)
                if isinstance(found, Approval) and found.state == "pending":
                    question = await self._question(asked, found)
                    if question is not None:
                        return Admission(asked.goal.params, question=question, waits=found)
            if isinstance(found, Approval):
                tell = _tell(asked.exchange)
                found = await self._desk.wait(found, call, tell=tell, limit=limit)
            if isinstance(found, Pass | Admission):
                return found
            if found.state == "pending":
                raise ApprovalPendingError(found.id, found.name)
            passed = await self._desk.settle(found, call, recheck=asked.recheck)
            if passed is not None:
                return passed
            if held:
                raise RpcError(
                    INVALID_PARAMS,
                    f"{found.id} was used before. Make the call again without requestState.",
                )

    async def _answered(self, asked: Asked) -> Approval | Admission:
        """Take an answer; where other arguments cannot be sent, return the question once more."""
        try:
            return await self._take_answer(asked, asked.held["id"])
        except EditError as error:
            problem = str(error)
        approval = await self._inbox.find(asked.held["id"])
        question = await self._question(asked, approval, problem=problem)
        if approval.state != "pending" or question is None:
            raise ApprovalPendingError(approval.id, approval.name)
        return Admission(asked.goal.params, question=question, waits=approval)

    async def _take_answer(self, asked: Asked, approval_id: str) -> Approval:
        """Take what a stateless client's person said, and return the approval as it then is."""
        approval = await self._inbox.find(approval_id)
        if approval.digest != asked.call.digest:
            raise RpcError(
                INVALID_PARAMS, "What is to be called has changed. Call again without requestState."
            )
        responses = object_member(asked.goal.params, "inputResponses")
        reply = object_member(responses, QUESTION)
        answer = read_answer(approval, reply, asked.exchange.session.principal)
        if answer is None:
            return approval
        try:
            return await self._inbox.answer(approval_id, answer)
        except EditError:
            raise
        except AccessError:
            # Somebody was faster; but who takes a call back need not make it.
            if not answer.approve:
                await self._inbox.withdraw(approval_id, reason="Its caller took it back.")
            return await self._inbox.find(approval_id)

    async def _question(
        self, asked: Asked, approval: Approval, *, problem: str | None = None
    ) -> Json | None:
        """Return the `input_required` that asks a stateless client's person."""
        exchange, params = asked.exchange, asked.goal.params
        question = await self._params(exchange, approval, asked.call.arguments, problem=problem)
        if question is None:
            return None
        state: Json = {
            "bound": binding(exchange, asked.method, params),
            "approval": {"id": approval.id},
        }
        # What the server gave out before, and is told now, is kept.
        if asked.held:
            state |= {
                key: asked.state[key] for key in ("earlier", "responses") if key in asked.state
            }
        else:
            if "state" in asked.state:
                state["earlier"] = {"state": asked.state["state"]}
            if "inputResponses" in params:
                state["responses"] = params["inputResponses"]
        return {
            "resultType": "input_required",
            "inputRequests": {QUESTION: {"method": "elicitation/create", "params": question}},
            "requestState": self._sealer.seal(state, life=self._board.config.expires),
        }

    async def _next_round(self, asked: Asked) -> Admission:
        """Let the retry through by which a client answers an approved call's server."""
        held = asked.held
        if "id" in held:
            passed = await self._desk.resume(held["id"], asked.call, nonce=held["nonce"])
        else:
            passed = self._granted.pop(held["nonce"], None)
            if passed is None:
                raise DeniedError(
                    "The request state was used before, or the host was restarted.",
                    next_step="Make the call again without requestState.",
                )
        params = dict(asked.goal.params)
        edited = as_object(held.get("arguments"))
        if edited is not None:
            passed = Pass(
                arguments=edited,
                approval=passed.approval,
                approver=passed.approver,
                channel=passed.channel,
                edited=True,
            )
            params["arguments"] = edited
        inner = {key: asked.state[key] for key in ("state", "parked") if key in asked.state}
        return Admission(self._with_state(asked, params, inner), passed)

    async def _admitted(self, asked: Asked, passed: Pass) -> Admission:
        """Return the call with what let it through, and the parameters that its server gets."""
        params, state = dict(asked.goal.params), asked.state
        if passed.edited:
            params["arguments"] = passed.arguments
            # The edit was judged when it was made; now is when it counts.
            reason = refusal(await asked.consider(params))
            if reason is not None:
                await self._desk.finish(passed, "denied")
                raise DeniedError(f"The edited arguments may not be sent. {reason}")
        if not asked.exchange.stateless:
            return Admission(params, passed)
        inner = {key: state[key] for key in ("state",) if key in state}
        if asked.held:  # the answers are to our own question; the server's were kept meanwhile
            inner = object_member(state, "earlier")
            params = {key: value for key, value in params.items() if key not in _STATE}
            if "responses" in state:
                params["inputResponses"] = state["responses"]
        return Admission(self._with_state(asked, params, inner), passed)

    def _with_state(self, asked: Asked, params: Json, inner: Json) -> Json:
        """Return parameters with a state for the rounds of eras, bound to just these."""
        own = {key: value for key, value in params.items() if key != "requestState"}
        if not inner:
            return own
        state = {**inner, "bound": binding(asked.exchange, asked.method, own)}
        return {**own, "requestState": self._sealer.seal(state, life=PARKED_LIFE)}


def _tell(exchange: Exchange) -> Callable[[Approval], None]:
    """Return what tells the client that its call waits, in steps too small to be progress."""
    count = 0

    def tell(approval: Approval) -> None:
        nonlocal count
        count += 1
        exchange.waits(approval.id)
        text = (
            f"Waiting for the approval {approval.id} of {approval.name}. Answer it in a terminal: "
            f"`host approvals approve {approval.id}` or `host approvals deny {approval.id}`."
        )
        exchange.progress({"progress": count / 1_000_000, "message": text})

    return tell
