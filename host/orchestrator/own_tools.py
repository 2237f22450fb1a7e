"""The host's own tools, `orchestrator__*`: agents, models, runs and memory for any MCP client."""

import dataclasses
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from host.agents.argument import name_faults, schema_faults
from host.agents.provider import INPUT, check_model, order_of, outcome_schema
from host.app import Host
from host.domain.errors import ConfigError, HostError, NotFoundError, StoreError
from host.domain.jsonrpc import INVALID_PARAMS, Json, RpcError
from host.gateway.exchange import Exchange
from host.gateway.local import LocalProvider, text_result, wrong_result
from host.orchestrator.approval_tools import ApprovalTools
from host.orchestrator.own_tool import COUNT, RUN, TEXT, OwnTool

if TYPE_CHECKING:
    from host.events.run import Run


class OrchestratorProvider(LocalProvider):
    """Offers the host's own tools.

    Args:
        host: What they are about.
    """

    def __init__(self, host: Host) -> None:
        super().__init__("orchestrator", host.gateway.on_notice)
        self._host = host
        self._agents, self._store = host.agents, host.store
        own = [
            *self._of_agents(),
            *self._of_runs(),
            *self._of_threads(),
            *ApprovalTools(host).tools(),
        ]
        self._tools = {tool.name: tool for tool in own}

    def _of_agents(self) -> list[OwnTool]:
        message = {
            "agent": {**TEXT, "description": "Empty lets the host choose by the message."},
            **INPUT["properties"],
        }
        return [
            OwnTool("list_agents", "List the agents.", self._list_agents, {}),
            OwnTool(
                "list_tools",
                "List the tools that an agent can call.",
                self._list_tools,
                {"agent": TEXT},
                ("agent",),
            ),
            OwnTool("list_models", "List the models that can be used.", self._list_models, {}),
            OwnTool(
                "run_agent",
                "Ask an agent and wait for its answer.",
                self._run_agent,
                message,
                ("message",),
                changes=True,
                output=outcome_schema({}),
            ),
            OwnTool(
                "start_run",
                "Ask an agent without waiting; the run goes on when you leave.",
                self._start_run,
                message,
                ("message",),
                changes=True,
            ),
            OwnTool(
                "search_memory",
                "Search your memory.",
                self._search_memory,
                {"query": TEXT, "limit": COUNT},
                ("query",),
            ),
            OwnTool(
                "rewrite_message",
                "Have a small model rewrite a message so that an agent understands it better.",
                self._rewrite,
                {"message": TEXT, "earlier": TEXT, "remark": TEXT},
                ("message",),
            ),
        ]

    def _of_runs(self) -> list[OwnTool]:
        listing = {"limit": COUNT, "agent": TEXT, "thread": TEXT, "nested": {"type": "boolean"}}
        after = {**RUN, "after": {"type": "integer", "minimum": 0}}
        return [
            OwnTool("list_runs", "List runs, newest first.", self._list_runs, listing),
            OwnTool(
                "follow_run",
                "Wait until a run ends, or has new events, and return those after a number.",
                self._follow_run,
                {**after, "seconds": {"type": "number", "minimum": 0, "maximum": 50}},
                ("run",),
            ),
            OwnTool("read_run", "Return a run's transcript.", self._read_run, after, ("run",)),
            OwnTool("cancel_run", "End a run.", self._cancel_run, RUN, ("run",), changes=True),
            OwnTool(
                "resume_run",
                "Take up a run that was interrupted, failed or cancelled.",
                self._resume_run,
                RUN,
                ("run",),
                changes=True,
                output=outcome_schema({}),
            ),
        ]

    def _of_threads(self) -> list[OwnTool]:
        return [
            OwnTool("list_threads", "List conversations.", self._list_threads, {"limit": COUNT}),
            OwnTool(
                "find_thread",
                "Find a conversation by its name or a run of it.",
                self._find_thread,
                {"name": TEXT},
                ("name",),
            ),
            OwnTool(
                "save_thread",
                "Give a conversation a name.",
                self._save_thread,
                {"name": TEXT, "thread": TEXT},
                ("name", "thread"),
                changes=True,
            ),
            OwnTool(
                "undo_run",
                "Take a run out of its conversation.",
                self._undo_run,
                RUN,
                ("run",),
                changes=True,
            ),
        ]

    @override
    async def tools(self) -> list[Json]:
        return [tool.definition() for tool in self._tools.values()]

    @override
    async def call(self, exchange: Exchange, name: str, arguments: Json) -> Json:
        tool = self._tools.get(name)
        if tool is None:
            raise RpcError(INVALID_PARAMS, f"Unknown tool: orchestrator__{name}")
        faults = schema_faults(tool.schema, arguments) or name_faults(arguments)
        if faults:
            raise RpcError(INVALID_PARAMS, f"{name} cannot be called so: {'; '.join(faults)}.")
        try:
            return await tool.work(exchange, arguments)
        except (ConfigError, NotFoundError) as error:
            return wrong_result(error)
        except HostError as error:
            return text_result(str(error), error=True)

    async def _list_agents(self, exchange: Exchange, arguments: Json) -> Json:
        library = self._agents.library
        found = [
            {
                "name": agent.name,
                "description": agent.config.description,
                "model": agent.config.model,
                "tools": list(agent.config.tools),
            }
            for agent in library.agents().values()
        ]
        lines = [f"{one['name']}: {one['description']}" for one in found]
        wrong = {name: str(error) for name, error in library.errors().items()}
        return text_result("\n".join(lines) or "None.", {"agents": found, "errors": wrong})

    async def _list_tools(self, exchange: Exchange, arguments: Json) -> Json:
        agent = self._agents.library.get(str(arguments["agent"]))
        found = await self._agents.tools_of(exchange, agent)
        lines = [f"{tool.name}: {tool.description}" for tool in found]
        tools = [{"name": tool.name, "description": tool.description} for tool in found]
        return text_result("\n".join(lines) or "None.", {"agent": agent.name, "tools": tools})

    async def _list_models(self, exchange: Exchange, arguments: Json) -> Json:
        cards = self._agents.models().describe()
        lines = [card.line() for card in cards]
        body = {
            "models": [card.name for card in cards],
            "cards": [dataclasses.asdict(card) for card in cards],
        }
        return text_result("\n".join(lines), body)

    async def _run_agent(self, exchange: Exchange, arguments: Json) -> Json:
        return await self._agents.provider.answer(
            exchange, lambda asked: self._begin(asked, arguments)
        )

    async def _start_run(self, exchange: Exchange, arguments: Json) -> Json:
        active = await self._begin(exchange, arguments)
        run = active.run
        text = f"The run {run.id} has begun. follow_run waits for it, run://{run.id} reads it."
        try:
            await active.log.settle()  # whoever gets the handle finds the run
        except StoreError as error:  # it goes on all the same: to begin another would do it twice
            text = f"{text} It is not stored yet: {error}"
        body = {"run": run.id, "thread": run.thread, "agent": run.name, "uri": f"run://{run.id}"}
        return text_result(text, body)

    async def _begin(self, exchange: Exchange, arguments: Json) -> Any:  # noqa: ANN401 - imported late
        given = dict(arguments)
        name, chosen = str(given.pop("agent", "") or ""), ""
        if not name:
            choice = await self._agents.router.choose(
                exchange.session.principal, str(given["message"])
            )
            name, chosen = choice.agent, choice.reason
        order = dataclasses.replace(order_of(name, given), chosen=chosen)
        check_model(exchange, self._agents.library.get(name), order.model)
        return await self._agents.runner.start(exchange, order)

    async def _list_runs(self, exchange: Exchange, arguments: Json) -> Json:
        principal, thread = exchange.session.principal, arguments.get("thread")
        if thread is not None:
            thread = await self._agents.runs.find_thread(principal, str(thread))
        runs = await self._agents.runs.page(
            principal,
            limit=int(arguments.get("limit", 20)),
            name=arguments.get("agent"),
            thread=thread,
            nested=bool(arguments.get("nested")),
        )
        lines = [f"{run.id}  {run.status:<11} {run.name}: {run.title}" for run in runs]
        return text_result("\n".join(lines) or "None.", {"runs": [run.fields() for run in runs]})

    async def _read_run(self, exchange: Exchange, arguments: Json) -> Json:
        return await self._told(exchange, str(arguments["run"]), int(arguments.get("after", 0)))

    async def _follow_run(self, exchange: Exchange, arguments: Json) -> Json:
        principal = exchange.session.principal
        run = await self._agents.runs.get(principal, str(arguments["run"]))
        after = int(arguments.get("after", 0))
        await self._agents.runs.wait_for_news(
            principal, run.id, after=after, seconds=float(arguments.get("seconds", 30))
        )
        return await self._told(exchange, run.id, after)

    async def _told(self, exchange: Exchange, run_id: str, after: int) -> Json:
        principal = exchange.session.principal
        run = await self._agents.runs.get(principal, run_id)
        events = await self._agents.runs.events(principal, run.id, after=after)
        body: Json = {"run": run.fields(), "events": [event.fields() for event in events]}
        return text_result(_title(run), body)

    async def _cancel_run(self, exchange: Exchange, arguments: Json) -> Json:
        run = await self._agents.runner.cancel(exchange.session.principal, str(arguments["run"]))
        return text_result(_title(run), {"run": run.fields()})

    async def _resume_run(self, exchange: Exchange, arguments: Json) -> Json:
        run_id = str(arguments["run"])
        return await self._agents.provider.answer(
            exchange, lambda asked: self._agents.runner.resume(asked, run_id)
        )

    async def _list_threads(self, exchange: Exchange, arguments: Json) -> Json:
        found = await self._agents.runs.threads(
            exchange.session.principal, limit=int(arguments.get("limit", 20))
        )
        lines = [
            f"{one['thread']}  {one['agent']}: {one['title']}"
            + (f"  (called {one['names']})" if one["names"] else "")
            for one in found
        ]
        return text_result("\n".join(lines) or "None.", {"threads": found})

    async def _find_thread(self, exchange: Exchange, arguments: Json) -> Json:
        principal = exchange.session.principal
        thread = await self._agents.runs.find_thread(principal, str(arguments["name"]))
        runs = await self._agents.runs.thread(principal, thread)
        inside = [one for run in runs for one in await self._agents.runs.family(principal, run.id)]
        body = {
            "thread": thread,
            "runs": [run.fields() for run in runs],
            "tokens": sum(run.input_tokens + run.output_tokens for run in (*runs, *inside)),
            "cost": sum(run.cost for run in (*runs, *inside)),
        }
        return text_result(thread, body)

    async def _save_thread(self, exchange: Exchange, arguments: Json) -> Json:
        name, principal = str(arguments["name"]), exchange.session.principal
        thread = await self._agents.runs.find_thread(principal, str(arguments["thread"]))
        await self._agents.runs.save_thread(principal, name, thread)
        return text_result(f"The conversation is called {name}.", {"name": name, "thread": thread})

    async def _undo_run(self, exchange: Exchange, arguments: Json) -> Json:
        principal = exchange.session.principal
        run = await self._agents.runs.get(principal, str(arguments["run"]))
        await self._agents.runs.hide(principal, run.id)
        return text_result(f"The run {run.id} is out of its conversation.", {"run": run.id})

    async def _rewrite(self, exchange: Exchange, arguments: Json) -> Json:
        from host.agents.reformulate import Reformulator  # noqa: PLC0415 - pydantic-ai loads slowly

        reformulator = Reformulator(
            lambda: self._host.settings.reformulate,
            self._agents.models,
            prompts=self._agents.prompts,
            folder=self._host.paths.config,
        )
        text = await reformulator.rewrite(
            exchange.session.principal,
            str(arguments["message"]),
            earlier=str(arguments.get("earlier") or ""),
            remark=str(arguments.get("remark") or ""),
        )
        return text_result(text, {"message": text})

    async def _search_memory(self, exchange: Exchange, arguments: Json) -> Json:
        from host.memory.memory import Memory  # noqa: PLC0415 - only where it is asked for
        from host.memory.record import Filter  # noqa: PLC0415

        memory = Memory(self._store, exchange.session.principal)
        found = await memory.search(
            str(arguments["query"]), Filter(everything=True), most=int(arguments.get("limit", 10))
        )
        hits = [{"id": hit.record.id, "text": hit.record.text} for hit in found.hits]
        text = "\n".join(f"- {hit['text']}" for hit in hits)
        return text_result(text or "Nothing.", {"memories": hits, "notes": list(found.notes)})


def _title(run: "Run") -> str:
    text = f"{run.id} {run.name}: {run.status}, {run.steps} steps. {run.title}"
    return f"{text}\n{run.error}" if run.error else text
