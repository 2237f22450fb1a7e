"""Each agent as a tool `agent__NAME`, runs as resources, and prompts of the library as prompts."""

import json
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from host.agents.argument import name_faults, schema_faults
from host.agents.attending import attend, cannot_answer
from host.agents.library import Agent
from host.agents.past import past_task, result_of
from host.agents.runner import Runner
from host.domain.errors import ConfigError, NotFoundError, RunStateError, StoreError
from host.domain.json_schema import embedded
from host.domain.jsonrpc import (
    INVALID_PARAMS,
    RESOURCE_NOT_FOUND,
    Json,
    RpcError,
    as_object,
)
from host.domain.principal import Principal
from host.domain.protocol import list_member, object_member
from host.gateway.exchange import Exchange
from host.gateway.local import LocalProvider, wrong_result
from host.gateway.tasks import TaskExchange, takes_tasks
from host.gateway.upstream.connection import OnNotice
from host.gateway.upstream.link import Link
from host.prompts.library import PromptLibrary

if TYPE_CHECKING:
    from host.agents.active import Active

_ID = re.compile(r"[a-z0-9]+")
_URI = re.compile(r"run://(?P<run>[a-z0-9]+)")

INPUT: Json = {
    "type": "object",
    "properties": {
        "message": {"type": "string", "description": "What the agent is asked."},
        "thread": {
            "type": "string",
            "description": "The conversation to go on with: `thread` of an earlier result, "
            "or the name that it was given.",
        },
        "files": {
            "type": "array",
            "description": "Pictures, sound or documents that belong to the message.",
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "media_type": {"type": "string"},
                    "data": {"type": "string", "description": "Base64."},
                },
                "required": ["media_type", "data"],
                "additionalProperties": False,
            },
        },
        "model": {
            "type": "string",
            "description": "One of the models that the agent allows, in place of its own.",
        },
        "schema": {"type": "object", "description": "JSON Schema of the answer wanted."},
    },
    "required": ["message"],
    "additionalProperties": False,
}


class AgentProvider(LocalProvider):
    """Offers the agents.

    Args:
        runner: Runs them.
        on_notice: The gateway's.
        prompts: Offered as prompts.
        patience: Returns for how many seconds a client waits for an approval of others.
    """

    def __init__(
        self,
        runner: Runner,
        on_notice: OnNotice,
        *,
        prompts: PromptLibrary,
        patience: Callable[[], float],
    ) -> None:
        super().__init__("agent", on_notice)
        self._runner = runner
        self._patience = patience
        self._prompts = prompts
        self._ongoing = self.offer_tasks(self._past_task, self._stop_past)
        self._edition: int | None = None

    @override
    async def link(self, exchange: Exchange) -> Link:
        self.renew()  # whoever begins a run has looked at the files just now
        return await super().link(exchange)

    def renew(self) -> None:
        """Forget the list of tools, and tell clients, if the agents were read to be others."""
        edition = self._runner.library.edition
        if self._edition not in (None, edition):
            self._edition = edition
            self.changed()

    @override
    async def tools(self) -> list[Json]:
        agents = self._runner.library.agents()
        self._edition = self._runner.library.edition
        return [tool_of(agent) for agent in agents.values()]

    @override
    async def call(self, exchange: Exchange, name: str, arguments: Json) -> Json:
        order = order_of(name, arguments)
        try:
            check_model(exchange, self._runner.library.get(name), order.model)
            return await self.answer(exchange, lambda asked: self._runner.start(asked, order))
        except (ConfigError, NotFoundError) as error:
            return wrong_result(error)

    async def answer(
        self, exchange: Exchange, begin: "Callable[[Exchange], Awaitable[Active]]"
    ) -> Json:
        """Return how a run ends; a client that knows tasks gets one at once instead.

        Args:
            exchange: The client's request.
            begin: Begins the run on behalf of an exchange.
        """
        if not takes_tasks(exchange):
            active = await begin(exchange)
            exchange.begins(active.run.id)
            alone = cannot_answer(exchange)
            patience = self._patience() if alone else None
            return result_of(await attend(self._runner, active, exchange, patience=patience))
        task, asked = self._ongoing.open(exchange)
        active = await begin(asked)
        handle = self._ongoing.begin(task, self._work(active, asked), own_id=active.run.id)
        with suppress(StoreError):  # it goes on all the same: to begin another would do it twice
            await active.log.settle()  # whoever gets the handle finds it, after a restart too
        return handle

    async def _work(self, active: "Active", asked: TaskExchange) -> Json:
        outcome = await attend(self._runner, active, asked)
        if outcome.status == "cancelled":
            asked.task.move("cancelled")
        return result_of(outcome)

    async def _past_task(self, principal: Principal, run_id: str) -> Json | None:
        """Return a run of earlier as a task, so that a restart loses none."""
        if _ID.fullmatch(run_id) is None:
            return None
        try:
            run = await self._runner.runs.get(principal, run_id)
        except NotFoundError:
            return None
        if run.id != run_id or run.client != principal.client:
            return None
        return past_task(run, await self._runner.runs.events(principal, run.id))

    async def _stop_past(self, principal: Principal, run_id: str) -> None:
        """End the run of a task of earlier, which was taken up or waits.

        Raises:
            RpcError: Another process has it, or nobody has taken it up yet.
        """
        try:
            await self._runner.cancel(principal, run_id)
        except RunStateError as error:
            raise RpcError(INVALID_PARAMS, str(error)) from error

    @override
    async def templates(self) -> list[Json]:
        return [
            {
                "uriTemplate": "run://{run}",
                "name": "run",
                "description": "A run of an agent and all that happened in it.",
                "mimeType": "application/json",
            }
        ]

    @override
    async def read(self, exchange: Exchange, uri: str) -> Json:
        found = _URI.fullmatch(uri)
        if found is None:
            raise RpcError(RESOURCE_NOT_FOUND, "Resource not found", {"uri": uri})
        principal = exchange.session.principal
        try:
            run = await self._runner.runs.get(principal, found["run"])
        except NotFoundError as error:
            raise RpcError(RESOURCE_NOT_FOUND, str(error), {"uri": uri}) from error
        events = await self._runner.runs.events(principal, run.id)
        body = {"run": run.fields(), "events": [event.fields() for event in events]}
        text = json.dumps(body, ensure_ascii=False)
        return {"contents": [{"uri": uri, "mimeType": "application/json", "text": text}]}

    @override
    async def prompts(self) -> list[Json]:
        found: list[Json] = []
        for name in self._prompts.names():
            try:
                prompt = self._prompts.get(name)
                arguments = [{"name": one, "required": True} for one in prompt.arguments]
            except ConfigError:
                continue  # `host prompts list` says what is wrong with it
            found.append({"name": name, "description": prompt.title, "arguments": arguments})
        return found

    @override
    async def prompt(self, exchange: Exchange, name: str, arguments: Json) -> Json:
        try:
            prompt = self._prompts.get(name)
            text = prompt.render(arguments)
        except (NotFoundError, ConfigError) as error:
            raise RpcError(INVALID_PARAMS, str(error)) from error
        message = {"role": "user", "content": {"type": "text", "text": text}}
        return {"description": prompt.title, "messages": [message]}

    @override
    async def complete(self, exchange: Exchange, params: Json) -> Json:
        argument, ref = object_member(params, "argument"), object_member(params, "ref")
        begun = str(argument.get("value") or "").casefold()
        if ref.get("type") == "ref/resource":
            runs = await self._runner.runs.page(exchange.session.principal, limit=1000)
            known = [run.id for run in runs]
        else:
            known = self._proposed(str(ref.get("name")), str(argument.get("name")))
        values = [one for one in known if one.casefold().startswith(begun)]
        shown = values[:100]
        return {"completion": {"values": shown, "total": len(values), "hasMore": values != shown}}

    def _proposed(self, prompt: str, argument: str) -> list[str]:
        """Return what a prompt's argument can be: what the prompt proposes, or names of agents."""
        try:
            choices = self._prompts.get(prompt).choices
        except (NotFoundError, ConfigError) as error:
            raise RpcError(INVALID_PARAMS, str(error)) from error
        if argument == "agent" and argument not in choices:
            return list(self._runner.library.agents())
        return choices.get(argument, [])

    @override
    async def close(self) -> None:
        await self._runner.close()


def run_uri(run_id: str) -> str:
    """Return the resource that a run is."""
    return f"run://{run_id}"


def tool_of(agent: Agent) -> Json:
    """Return the definition of an agent's tool."""
    output: Json = agent.config.output or {"description": "The answer read by its schema."}
    return {
        "name": agent.name,
        "title": agent.name,
        "description": agent.config.description or f"The agent {agent.name}.",
        "inputSchema": INPUT,
        "outputSchema": outcome_schema(output),
        "annotations": {"readOnlyHint": False, "destructiveHint": False, "openWorldHint": True},
    }


def outcome_schema(output: Json) -> Json:
    """Return the schema of what a run's result says.

    Args:
        output: The schema of the answer itself.
    """
    texts = ("run", "thread", "agent", "status", "text")
    if output.keys() - {"title", "description"}:  # a run that failed has none
        inside = embedded(output, "#/properties/output/anyOf/0")
        output = {"anyOf": [inside, {"type": "null"}]}
    return {
        "type": "object",
        "properties": {
            **{name: {"type": "string"} for name in texts},
            "output": output,
            "error": {"type": ["string", "null"]},
            "chosen": {"type": "string"},
            "notes": {"type": "array", "items": {"type": "string"}},
            "steps": {"type": "integer"},
            "input_tokens": {"type": "integer"},
            "output_tokens": {"type": "integer"},
            "cost": {"type": "number"},
        },
        "required": [*texts],
    }


def order_of(agent: str, arguments: Json) -> Any:  # noqa: ANN401 - pydantic-ai is imported late
    """Return what the arguments of an agent's tool ask for.

    Raises:
        RpcError: They are wrong.
    """
    from host.agents.order import Order, file_of  # noqa: PLC0415 - pydantic-ai loads slowly

    faults = schema_faults(INPUT, arguments) or name_faults(arguments)
    if faults:
        raise RpcError(INVALID_PARAMS, f"The arguments of {agent} are wrong: {'; '.join(faults)}.")
    files = [file_of(as_object(one) or {}) for one in list_member(arguments, "files")]
    message = str(arguments["message"])
    if not files and not message.strip():
        raise RpcError(INVALID_PARAMS, f"The message to {agent} is empty.")
    return Order(
        agent=agent,
        content=[message, *files] if files else message,
        thread=str(arguments.get("thread") or ""),
        model=str(arguments.get("model") or ""),
        schema=arguments.get("schema"),
    )


def check_model(exchange: Exchange, agent: Agent, model: str) -> None:
    """Refuse a model that a client may not choose; the user's own terminal and program may any.

    A model costs its owner money, sees what the agent reads, and may be less careful with it. And
    by the errors of a script that is named by its path, whoever holds a token would learn which
    files there are, and what stands in them.

    Raises:
        RpcError: It may not be chosen.
    """
    from host.models.script import is_path  # noqa: PLC0415 - pydantic-ai loads slowly

    if exchange.face == "cli" or model in ("", agent.config.model):
        return
    provider, _, name = model.partition(":")
    if provider == "scripted" and is_path(name):
        raise RpcError(
            INVALID_PARAMS,
            "A script is named by its path in a terminal only. Give the name of one in "
            "`models/scripts` of the configuration folder.",
        )
    allowed = agent.config.models
    if not any(fnmatchcase(model, pattern) for pattern in allowed):
        told = f"It allows {', '.join(allowed)}" if allowed else "It allows no other"
        raise RpcError(
            INVALID_PARAMS,
            f"A client may not choose the model {model!r} for the agent {agent.name}. {told}; "
            "leave `model` out, or add it to `models` in the agent's file.",
        )
