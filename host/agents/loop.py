"""The loop of an agent: ask the model, carry out its calls, write down each step, until done."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart
from pydantic_ai.models import ModelRequestParameters

from host.agents.budget import RunBudget
from host.agents.cast import Answer, AskedModel, Cast, files_of
from host.agents.output import AnswerReader
from host.agents.tool_result import dump_files
from host.agents.toolbox import ToolAnswer, Tools
from host.agents.transcript import (
    Transcript,
    cost_of,
    dump_response,
    retry_part,
    spent_on,
)
from host.domain.errors import HostError, ModelError, StaleRunError
from host.domain.jsonrpc import Json
from host.events.run_log import RunLog

UNKNOWN = (
    "The host stopped while this call was being made. Whether it took effect is not known; check "
    "before you call it again."
)
"""What the model reads of a call whose outcome was lost."""


STOPPED = "The reply was stopped before its end."

BETWEEN = 0.2
"""Seconds between two looks at an approval whose wait the gateway has ended."""


class Loop:
    """One run of an agent.

    Args:
        log: Where each step is written.
        transcript: The conversation so far; it is continued.
        tools: Carries calls out.
        budget: What may be used.
        cast: Returns who has the conversation, by the agent's name.
        heard: Takes text as it comes in.
    """

    def __init__(
        self,
        log: RunLog,
        transcript: Transcript,
        *,
        tools: Tools,
        budget: RunBudget,
        cast: Callable[[str], Awaitable[Cast]],
        heard: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._log = log
        self._transcript = transcript
        self._tools = tools
        self._budget = budget
        self._cast = cast
        self._heard = heard
        self._clock = asyncio.timeout(None)

    async def run(self) -> Answer:
        """Go on until there is an answer.

        Raises:
            RunLimitError: A limit was reached first.
            ModelError: The model failed for good.
            OutputError: Its answer never met the schema.
        """
        clock = self._clock = asyncio.timeout(self._budget.now.seconds_left())
        try:
            async with clock:
                return await self._run()
        except TimeoutError:
            if clock.expired():
                raise self._budget.now.out_of_time() from None
            raise

    async def _run(self) -> Answer:
        now = await self._ready(self._transcript.agent)
        while True:
            open_calls = self._transcript.open_calls()
            if now.reader is not None:
                open_calls = self._without_answer(now.reader, open_calls)
            if open_calls:
                now = await self._carry_out(now, open_calls)
                continue
            answer = self._answer(now)
            if answer is not None:
                return answer
            await self._step(now)

    def _without_answer(
        self, reader: AnswerReader, calls: list[ToolCallPart]
    ) -> list[ToolCallPart]:
        """Return the calls that are to be made, without the one that gives the answer."""
        made = [call for call in calls if not reader.takes(call.tool_name)]
        if made:
            for call in calls:
                if reader.takes(call.tool_name):
                    text = "Not taken yet: answer again when you have the other results."
                    self._result(call, ToolAnswer(text, error=True))
        return made

    def _answer(self, now: Cast) -> Answer | None:
        """Return the answer if the last message is one; send it back if it misses the schema."""
        messages = self._transcript.messages
        last = messages[-1] if messages else None
        if not isinstance(last, ModelResponse):
            return None
        if now.reader is None:
            return Answer(now.agent.name, last.text or "", files=files_of(last))
        read = now.reader.read(last)
        if read.fault is None:
            return Answer(now.agent.name, last.text or read.text, read.value, files_of(last))
        self._transcript.repairs += 1
        if self._transcript.repairs > now.agent.config.limits.repairs:
            raise now.reader.error(now.agent.name, read.why or read.fault)
        data: Json = {"id": read.call_id, "tool": read.tool, "text": read.fault, "answer": True}
        self._log.add("rejected", data)
        self._transcript.answered.add(str(read.call_id or ""))
        self._transcript.add_part(retry_part(data))
        return None

    async def _step(self, now: Cast) -> None:
        """Ask the model once."""
        await self._fit(now, force=False)
        try:
            await self._ask(now)
        except ModelError as error:
            if error.fault != "context":
                raise
            # The provider's count differs from ours: what it finds too long is summed up once.
            await self._fit(now, force=True)
            await self._ask(now)

    async def _ask(self, now: Cast) -> None:
        messages = [*now.told, *self._transcript.messages]
        parameters = now.parameters()
        with self._budget.step(self._size(now)):
            self._log.add("request", {"agent": now.agent.name, "messages": len(messages)})
            response = await self._stream(now.model, messages, parameters, heard=self._heard)
        response = self._transcript.with_own_ids(response)
        self._count(response)
        now.context.note(response, len(self._transcript.messages))
        self._log.add("reply", {"agent": now.agent.name, "response": dump_response(response)})
        for note in (response.metadata or {}).get("notes") or ():
            self._log.note(str(note))
        self._transcript.add_response(response)

    def _size(self, now: Cast) -> int:
        """Return about how many tokens the next request sends, where they are limited."""
        return now.context.size(self._transcript.messages) if self._budget.counted else 0

    def _count(self, response: ModelResponse) -> None:
        """Count a request that was answered, in the run and in all budgets around it."""
        used, usage = response.usage, self._log.usage
        usage.steps += 1
        usage.input_tokens += used.input_tokens
        usage.output_tokens += used.output_tokens
        usage.cost += cost_of(response)
        self._budget.now.use(used.input_tokens + used.output_tokens, cost_of(response))

    async def _stream(
        self,
        model: AskedModel,
        messages: list[ModelMessage],
        parameters: ModelRequestParameters,
        *,
        heard: Callable[[str], None] = lambda text: None,
    ) -> ModelResponse:
        said: list[str] = []

        def hear(text: str) -> None:
            said.append(text)
            heard(text)

        try:
            return await model.ask(messages, parameters, heard=hear)
        except asyncio.CancelledError:
            if said:
                with suppress(StaleRunError):
                    self._log.add("cancelled", {"text": STOPPED, "said": "".join(said)})
            raise
        except ModelError as error:
            data: Json = {"text": str(error), "fault": error.fault, "transient": error.transient}
            self._log.add("error", {**data, "said": "".join(said)} if said else data)
            raise

    async def _fit(self, now: Cast, *, force: bool) -> None:
        """Sum up the older part of a conversation that has become too long."""
        plan = now.context.plan(self._transcript.messages, force=force)
        if plan is None:
            return
        old = self._transcript.messages[: len(self._transcript.messages) - plan.kept]
        asked = {"agent": now.agent.name, "messages": 1, "for": "summary"}
        request = now.context.summary_request(old)
        with self._budget.step(plan.tokens):
            self._log.add("request", asked)
            response = await self._stream(now.model, request, ModelRequestParameters())
        self._count(response)
        data: Json = {"summary": response.text or "", "kept": plan.kept, "tokens": plan.tokens}
        self._log.add("compacted", {**data, **spent_on(response)})
        self._transcript.compact(data["summary"], plan.kept)
        now.context.forget()

    async def _carry_out(self, now: Cast, calls: list[ToolCallPart]) -> Cast:
        """Carry out the calls of a reply, those that only read side by side."""
        handed = next((to for call in calls if (to := now.toolbox.handoff(call.tool_name))), None)
        readable = [now.toolbox.tools.get(call.tool_name) for call in calls]
        if handed is None and len(calls) > 1 and all(tool and tool.reads for tool in readable):
            await self._together(now, calls)
            return now
        for call in calls:
            to = now.toolbox.handoff(call.tool_name)
            if to is not None and to == handed:
                self._result(call, ToolAnswer(f"{to} has the conversation now."))
            else:
                self._result(call, await self._call(now, call))
        if handed is None:
            return now
        self._log.add("handoff", {"from": now.agent.name, "to": handed})
        self._transcript.hand_over(handed)
        return await self._ready(handed)

    async def _ready(self, agent: str) -> Cast:
        """Return an agent that is held to its limits and can read on in what was kept aside."""
        now = await self._cast(agent)
        now.toolbox.pages.keep(self._transcript.whole)
        self._budget.hand_over(agent, now.agent.config.limits)
        left = self._budget.now.seconds_left()
        self._clock.reschedule(None if left is None else asyncio.get_running_loop().time() + left)
        return now

    async def _together(self, now: Cast, calls: list[ToolCallPart]) -> None:
        """Make calls at the same time; their results are written in the order of the calls.

        What one of them raises ends the others, and is raised itself, without a group around it.
        """
        answers: dict[int, ToolAnswer | None] = {}
        errors: list[Exception] = []

        async def one(place: int, call: ToolCallPart) -> None:
            try:
                answers[place] = await self._call(now, call)
            except Exception as error:  # noqa: BLE001 - kept from the group, and raised below
                errors.append(error)
                group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:  # raises nothing but a cancellation
            for place, call in enumerate(calls):
                group.start_soon(one, place, call)
        if errors:
            raise min(errors, key=_how_telling)
        for place, call in enumerate(calls):
            self._result(call, answers[place])

    async def _call(self, now: Cast, call: ToolCallPart) -> ToolAnswer | None:
        """Return what a call gave; None where it was refused for its arguments."""
        call_id, name = call.tool_call_id, call.tool_name
        tool = now.toolbox.tools.get(name)
        begun = call_id in self._transcript.called
        child = self._transcript.children.get(call_id)
        if begun and child:
            answer = await self._tools.take_up(child, call_id)
            if answer is not None:
                return self._paged(now, call_id, answer)
            self._transcript.unmade.add(call_id)  # nothing can change before a run is stored
        if begun and not (tool and tool.repeatable) and call_id not in self._transcript.unmade:
            return ToolAnswer(UNKNOWN, error=True)
        page = now.toolbox.read_on(name, call.args, call_id)
        if page is not None:
            return page
        reads = tool is not None and tool.reads
        checked = now.toolbox.check(name, call.args, call_id)
        if isinstance(checked, str):
            data: Json = {"id": call_id, "tool": name, "text": checked, "reads": reads}
            self._log.add("rejected", data)
            self._transcript.answered.add(call_id)
            self._transcript.add_part(retry_part(data))
            return None
        self._transcript.called.add(call_id)
        self._log.add("call", {"id": call_id, "tool": name, "arguments": checked, "reads": reads})
        if not reads:
            await self._log.settle()  # the intent is stored before anything can change
        answer = await self._in_time(now, name, checked, call_id)
        return self._paged(now, call_id, answer)

    async def _in_time(self, now: Cast, name: str, arguments: Json, call_id: str) -> ToolAnswer:
        seconds = now.agent.config.limits.tool_seconds
        while True:
            answer = await self._tools.call(name, arguments, call_id, seconds=seconds)
            if not answer.waits:
                return answer
            # The same call made again goes on waiting; no client's deadline ends a run.
            await asyncio.sleep(BETWEEN)

    def _paged(self, now: Cast, call_id: str, answer: ToolAnswer) -> ToolAnswer:
        """Return an answer of which the model reads the first page, if it is long."""
        shown = now.toolbox.pages.first(self._transcript.page_name(call_id), answer.text)
        whole = answer.text if shown != answer.text else None
        return ToolAnswer(shown, answer.error, whole=whole, files=answer.files)

    def _result(self, call: ToolCallPart, answer: ToolAnswer | None) -> None:
        if answer is None:
            return
        data: Json = {
            "id": call.tool_call_id,
            "tool": call.tool_name,
            "text": answer.text,
            "error": answer.error,
        }
        if answer.whole is not None:
            name = self._transcript.page_name(call.tool_call_id)
            data |= {"whole": answer.whole} | ({"page": name} if name != call.tool_call_id else {})
            self._transcript.whole[name] = answer.whole
        if answer.files:
            data["files"] = dump_files(answer.files)
        self._log.add("result", data)
        self._transcript.answered.add(call.tool_call_id)
        self._transcript.add_result(data)


def _how_telling(error: Exception) -> int:
    """Return where an error stands among those of one time; of two alike the first is the cause."""
    return 0 if isinstance(error, StaleRunError) else 1 if isinstance(error, HostError) else 2
