"""A host that itself offers the tools that the suite's scenarios of tasks call, without a prefix.

It is started as `python -m tests.conformance.own_tasks serve …`, in the place of `host`.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
from typing_extensions import override

from host.app import Host
from host.config.load import load_settings
from host.config.paths import user_paths
from host.domain.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS, Json, RpcError
from host.gateway.exchange import Exchange
from host.gateway.local import LocalProvider, text_result
from host.gateway.tasks import missing_extension, takes_tasks
from host.gateway.upstream.connection import OnNotice
from host.orchestrator.daemon import Daemon, DaemonOptions

CONFIRM: Json = {"type": "object", "properties": {"confirm": {"type": "boolean"}}}
NAME: Json = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}

Work = Callable[[Exchange], Awaitable[Json]]


class TaskTools(LocalProvider):
    """Tools whose calls go on as tasks."""

    def __init__(self, on_notice: OnNotice) -> None:
        super().__init__("tasks-fixture", on_notice)
        self.config = self.config.model_copy(update={"prefix": ""})
        self._ongoing = self.offer_tasks()
        self._works: dict[str, Work] = {
            "failing_job": _fail,
            "protocol_error_job": _break,
            "confirm_delete": _confirm,
            "multi_input": _ask_two,
        }

    @override
    async def tools(self) -> list[Json]:
        names = ["greet", "slow_compute", "test_tool_with_task", *self._works]
        return [{"name": name, "inputSchema": {"type": "object"}} for name in names]

    @override
    async def call(self, exchange: Exchange, name: str, arguments: Json) -> Json:
        if name == "greet":
            return text_result(f"Hello, {arguments['name']}!")
        if name == "slow_compute":
            seconds = float(arguments["seconds"])
            return await self._compute(exchange, seconds, str(arguments.get("label")))
        if name == "test_tool_with_task":
            question = {"message": "What is your name?", "requestedSchema": NAME}
            answer = await exchange.ask("elicitation/create", question)
            told = text_result(f"Hello, {answer['content']['name']}!")
            return self._begin(exchange, lambda asked: _give(told))
        if name not in self._works:
            raise RpcError(INVALID_PARAMS, f"Unknown tool: {name}")
        return self._begin(exchange, self._works[name])

    async def _compute(self, exchange: Exchange, seconds: float, label: str) -> Json:
        async def work(asked: Exchange) -> Json:
            await anyio.sleep(seconds)
            return text_result(f"Computed {label}.")

        if seconds == 0 or not takes_tasks(exchange):
            return await work(exchange)
        return self._begin(exchange, work)

    def _begin(self, exchange: Exchange, work: Work) -> Json:
        if not takes_tasks(exchange):
            raise missing_extension()
        task, asked = self._ongoing.open(exchange)
        return self._ongoing.begin(task, work(asked))


async def _give(result: Json) -> Json:
    return result


async def _fail(asked: Exchange) -> Json:
    await anyio.sleep(1)
    return text_result("The job failed.", error=True)


async def _break(asked: Exchange) -> Json:
    raise RpcError(INTERNAL_ERROR, "The job broke.")


async def _confirm(asked: Exchange) -> Json:
    question = {"message": "Delete it?", "requestedSchema": CONFIRM}
    answer = await asked.ask("elicitation/create", question)
    return text_result(f"Answered {answer['action']}.")


async def _ask_two(asked: Exchange) -> Json:
    async with anyio.create_task_group() as group:
        group.start_soon(_confirm, asked)
        group.start_soon(_confirm, asked)
    return text_result("Both answered.")


async def serve(options: DaemonOptions) -> None:
    """Run the host with the tools until it is told to stop."""
    paths = user_paths()
    loaded = load_settings(options.config, paths=paths)
    async with Host.open(loaded, paths) as host:
        tools = TaskTools(host.gateway.on_notice)
        host.own[tools.name] = tools
        await Daemon(host, options).run()


def main() -> None:
    """Take the command line of `host serve` that the conformance run gives."""
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("--config", type=Path)
    parser.add_argument("--port", type=int)
    parser.add_argument("--no-auth", action="store_true")
    given = parser.parse_args()
    asyncio.run(serve(DaemonOptions(given.config, port=given.port, no_auth=given.no_auth)))


if __name__ == "__main__":
    main()
