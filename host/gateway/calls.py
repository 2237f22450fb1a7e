"""The call pipeline: resolve → decide → approve → call → record, for tools, prompts, resources."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import anyio

from host.domain.errors import ApprovalPendingError, QuarantinedError, UpstreamError
from host.domain.fixed import fixed
from host.domain.jsonrpc import INVALID_PARAMS, METHOD_NOT_FOUND, RESOURCE_NOT_FOUND, Json, RpcError
from host.domain.names import nearest_names
from host.domain.protocol import (
    INTERACTIVE_METHODS,
    META_LOG_LEVEL,
    TASK_METHODS,
    list_member,
    object_member,
)
from host.gateway.catalog import Catalog
from host.gateway.exchange import Exchange, lowest_level
from host.gateway.gate import REFUSALS, Gate
from host.gateway.judgement import Admitted, Judgement
from host.gateway.provider import ToolProvider
from host.gateway.questions import Questions
from host.gateway.record import Recorder
from host.gateway.rounds import ParkingLot, answer_rounds, unwrap_state, wrap_state
from host.gateway.task_owners import TaskOwner, TaskOwners, TaskPlace
from host.gateway.upstream.connection import Connection
from host.gateway.upstream.http import HttpChannel
from host.gateway.upstream.link import Link
from host.secrets.handles import reveal_secrets
from host.secrets.seal import Sealer
from host.telemetry.activity import note_call

log = logging.getLogger(__name__)


@fixed()
class Target:
    """Where a request goes.

    Attributes:
        name: What the client called it.
        original: What the server calls it.
        definition: How it is listed; empty where it is not (a resource of a template).
        mirrors: Whether it declares headers that mirror its arguments.
        digest: By which its definition is known.
        held: Why it cannot be used, and what to do; None if it can.
        params: The parameters as the server is to get them.
    """

    server: ToolProvider
    link: Link
    name: str
    original: str
    params: Json
    definition: Json = field(default_factory=dict[str, Any])
    mirrors: bool = False
    digest: str | None = None
    held: str | None = None

    @property
    def upstream(self) -> str:
        """The server's name."""
        return self.server.name

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the server, and those that the tool itself declares."""
        own = list_member(self.definition.get("_meta"), "host/labels")
        return (*self.server.config.labels, *(label for label in own if isinstance(label, str)))


@dataclass(frozen=True, slots=True)
class Missed:
    """A request that no server could be found or reached for, as it is recorded."""

    name: str
    params: Json
    original: str = ""
    upstream: str = ""
    definition: Json = field(default_factory=dict[str, Any])
    labels: tuple[str, ...] = ()
    digest: str | None = None


class Caller:
    """Sends requests of clients to the server that serves them."""

    def __init__(
        self,
        catalog: Catalog,
        parking: ParkingLot,
        sealer: Sealer,
        *,
        recorder: Recorder,
        gate: Gate,
    ) -> None:
        self._catalog = catalog
        self._gate = gate
        self._parking = parking
        self._sealer = sealer
        self._recorder = recorder
        self._questions = Questions(gate, recorder)
        self._log_levels: WeakKeyDictionary[Connection, tuple[int, str]] = WeakKeyDictionary()
        self._tasks = TaskOwners(self._has_own_task)

    async def call_tool(self, exchange: Exchange, params: Json) -> Json:
        """Serve `tools/call`."""
        name, arguments = params.get("name"), params.get("arguments")
        if not isinstance(name, str):
            raise RpcError(INVALID_PARAMS, "name is missing: which tool is to be called?")
        if arguments is not None and not isinstance(arguments, dict):
            raise RpcError(INVALID_PARAMS, f"arguments of {name} have to be an object.")
        target = await self._named(exchange, "tools/list", "tool", name, params)
        try:
            return await self._run(exchange, "tools/call", target)
        except REFUSALS as error:
            exchange.refused = error
            # A result and not a protocol error, since it is the model that has to read it.
            return {"content": [{"type": "text", "text": str(error)}], "isError": True}

    async def get_prompt(self, exchange: Exchange, params: Json) -> Json:
        """Serve `prompts/get`."""
        name = params.get("name")
        if not isinstance(name, str):
            raise RpcError(INVALID_PARAMS, "name is missing: which prompt is wanted?")
        target = await self._named(exchange, "prompts/list", "prompt", name, params)
        return await self._run(exchange, "prompts/get", target)

    async def read_resource(self, exchange: Exchange, params: Json) -> Json:
        """Serve `resources/read`."""
        uri = params.get("uri")
        if not isinstance(uri, str):
            raise RpcError(INVALID_PARAMS, "uri is missing: which resource is to be read?")
        try:
            server, link, own = await self._catalog.find_resource(exchange, uri)
        except LookupError as error:
            code = INVALID_PARAMS if exchange.stateless else RESOURCE_NOT_FOUND
            late = ", ".join(error.args)
            hint = f"; not answered yet: {late}. Try again in a moment." if late else ""
            raise RpcError(code, f"Resource not found{hint}", {"uri": uri}) from error
        name = uri if own == uri else await self._plain_uri(exchange, uri, server, own)
        target = Target(server, link, name, own, {**params, "uri": own})
        return await self._run(exchange, "resources/read", target)

    async def _plain_uri(self, exchange: Exchange, uri: str, server: ToolProvider, own: str) -> str:
        """Return the URI that a resource is listed by, so that no rule is evaded by the other one.

        Its qualified URI is its name only where the plain one is another server's.
        """
        try:
            found = await self._catalog.find_resource(exchange, own)
        except LookupError:
            return own
        return own if found[0] is server else uri

    async def complete(self, exchange: Exchange, params: Json) -> Json:
        """Serve `completion/complete`."""
        ref = object_member(params, "ref")
        if ref.get("type") == "ref/prompt" and isinstance(ref.get("name"), str):
            found = await self._catalog.find(exchange, "prompts/list", ref["name"])
            member = "name"
        elif ref.get("type") == "ref/resource" and isinstance(ref.get("uri"), str):
            found = await self._catalog.find_template(exchange, ref["uri"])
            member = "uri"
        else:
            raise RpcError(INVALID_PARAMS, "ref names a prompt or a resource template.")
        if found is None:
            raise RpcError(INVALID_PARAMS, f"Nobody offers {ref[member]!r}.")
        entry, link = found
        body = {**params, "ref": {**ref, member: entry.original}}
        target = Target(entry.server, link, entry.name, entry.original, body, held=entry.held)
        return await self._run(exchange, "completion/complete", target)

    async def forward(self, exchange: Exchange, method: str, params: Json) -> Json:
        """Serve any other method from the one server that can be meant.

        Raises:
            RpcError: The method is unknown and several servers, or none, could be meant.
        """
        task_id = params.get("taskId")
        task = self._tasks.find(exchange, task_id) if isinstance(task_id, str) else None
        server = self._owner(exchange, method, str(task_id), task)
        if task is not None and server is not None and server.name == task.server:
            params = {**params, "taskId": task.own}
        if server is None:
            raise RpcError(METHOD_NOT_FOUND, "Method not found", method)
        link = await server.link(exchange)
        if method.partition("/")[0] not in _families(link.connection.capabilities):
            raise RpcError(METHOD_NOT_FOUND, "Method not found", method)
        return await self._run(exchange, method, Target(server, link, method, method, params))

    def _has_own_task(self, exchange: Exchange, task_id: str) -> bool:
        """Whether a task's id begins as those of the host's own do."""
        server = self._catalog.visible(exchange.session).get(task_id.partition(":")[0])
        return server is not None and server.own

    def _owner(
        self, exchange: Exchange, method: str, task_id: str, task: TaskOwner | None
    ) -> ToolProvider | None:
        """Return the server that a method of an extension is for; None if nobody can be meant."""
        servers = self._catalog.visible(exchange.session)
        enabled = self._catalog.enabled(exchange.session)
        if self._has_own_task(exchange, task_id):
            return servers[task_id.partition(":")[0]]
        if task is not None:
            return servers.get(task.server)
        others = [one for one in enabled if not one.own]
        if len(others) == 1 and (
            method not in TASK_METHODS or "tasks" in _families(others[0].known.capabilities)
        ):
            return others[0]
        if method not in TASK_METHODS:
            return None
        return next((one for one in enabled if "tasks" in _families(one.known.capabilities)), None)

    async def task_place(self, exchange: Exchange, task_id: str) -> TaskPlace | None:
        """Return where a task runs; None if that is not known.

        Raises:
            RpcError: The task is another principal's.
            UpstreamError: Its server cannot be reached.
        """
        task = self._tasks.find(exchange, task_id)
        server = self._catalog.visible(exchange.session).get(task.server if task else "")
        if task is None or server is None or server.own:
            return None
        return TaskPlace(await server.link(exchange), task.own)

    async def share_log_level(self, link: Link) -> None:
        """Tell a server the most talkative level that its clients want."""
        connection = link.connection
        if connection.stateless or "logging" not in connection.capabilities:
            return
        level = lowest_level(session.log_level for session in connection.users.values())
        if level is None or self._log_levels.get(connection) == (connection.generation, level):
            return
        self._log_levels[connection] = (connection.generation, level)
        try:
            await connection.request("logging/setLevel", {"level": level})
        except (RpcError, UpstreamError) as error:
            log.debug("%s keeps its log level: %s", connection.name, error)

    async def _named(
        self, exchange: Exchange, method: str, kind: str, name: str, params: Json
    ) -> Target:
        """Resolve a catalog name; that nobody could serve it is recorded, too."""
        try:
            found = await self._catalog.find(exchange, method, name)
            if found is None:
                raise await self._unknown(exchange, method, kind, name)
        except (UpstreamError, RpcError) as error:
            missed = Missed(name, params)
            served = "tools/call" if kind == "tool" else "prompts/get"
            self._recorder.open(exchange, served, missed).refuse(error)
            raise
        entry, link = found
        body = {**params, "name": entry.original} if entry.original != name else params
        return Target(
            entry.server,
            link,
            name,
            entry.original,
            body,
            entry.definition,
            entry.mirrors,
            entry.digest,
            entry.held,
        )

    async def _unknown(self, exchange: Exchange, method: str, kind: str, name: str) -> RpcError:
        offer = await self._catalog.offer(exchange, method)
        near = nearest_names(name, (entry.name for entry in offer.entries))
        hint = f" Did you mean {', '.join(near)}?" if near else ""
        return RpcError(INVALID_PARAMS, f"Unknown {kind}: {name}.{hint}")

    async def _run(self, exchange: Exchange, method: str, target: Target) -> Json:
        """Decide, ask if need be, call the server, and record what happened."""
        if exchange.span is not None:
            exchange.span.resolve(method, target.name, target.params)
        admitted, said = await self._admit(exchange, method, target)
        if admitted.admission.question is not None:
            return admitted.admission.question
        if admitted.admission.params is not target.params:
            target = replace(target, params=admitted.admission.params)
            said = self._gate.judge(exchange, method, target)
        record = self._recorder.open(exchange, method, target, admitted.judged)
        exchange.call_id = record.call_id
        exchange.goes_on()
        note_call(record.call_id, target.upstream)
        try:
            await exchange.confirm()
            await record.begin()
        except BaseException:
            await self._gate.fail(admitted, "error")  # it was not made
            raise
        try:
            self._gate.check_paths(target, said)
            result = await self._send(exchange, method, target)
        except BaseException as error:
            await self._gate.fail(admitted, record.fail(error))
            raise
        self._gate.reached(exchange, method, target, admitted.judged, result)
        record.succeed(result)
        if not target.server.own:
            result = self._tasks.named(exchange, target.server.name, result)
        return await self._gate.succeed(admitted, result)

    async def _admit(
        self, exchange: Exchange, method: str, target: Target
    ) -> tuple[Admitted, Judgement]:
        """Return once the call may be made or its client has to be asked; record a refusal."""
        said = await self._gate.consider(exchange, method, target)
        admitted: Admitted | None = None
        try:
            if target.held is not None:
                raise QuarantinedError(target.held)
            admitted = await self._gate.admit(exchange, method, target, said)
            self._catalog.pins.check(target.server, method, target.original, target.digest)
            if admitted.admission.question is None:
                self._gate.meet(exchange, target, admitted.judged)
        except anyio.get_cancelled_exc_class() as error:
            if not exchange.will_wait(error):
                self._recorder.open(exchange, method, target, said.judged).refuse(error)
            raise
        except (*REFUSALS, RpcError) as error:
            if exchange.will_wait(error):
                raise
            kind = self._recorder.open(exchange, method, target, said.judged).refuse(error)
            if admitted is not None:
                await self._gate.fail(admitted, kind)
            raise
        waits = admitted.admission.waits
        if waits is not None:
            pending = ApprovalPendingError(waits.id, target.name)
            self._recorder.open(exchange, method, target, said.judged).refuse(pending)
        return admitted, said

    async def _send(self, exchange: Exchange, method: str, target: Target) -> Json:
        """Call the server in its era, for a client of whichever era."""
        connection = target.link.connection
        headers = self._headers(target)
        if exchange.log_level and not connection.stateless:
            if exchange.stateless:
                exchange.session.log_level = exchange.meta.get(META_LOG_LEVEL)
            await self.share_log_level(target.link)

        async def send(params: Json, on_behalf: Exchange = exchange) -> Json:
            if exchange.reveal:
                params = reveal_secrets(params, exchange.reveal, own=target.server.own)
            return await connection.request(method, params, exchange=on_behalf, headers=headers)

        if method not in INTERACTIVE_METHODS:
            return await send(target.params)
        if connection.stateless:
            if not exchange.stateless:
                put = partial(self._questions.put, target.server, exchange)
                return await answer_rounds(put, target.params, send)
            params = unwrap_state(self._sealer, exchange, method, target.params)
            result = await send(params)
            if result.get("resultType") == "input_required":
                await self._questions.check(target.server, exchange, result)
            return wrap_state(self._sealer, exchange, method, target.params, result)
        if exchange.stateless:
            return await self._parking.serve(exchange, method, target.params, send)
        return await send(target.params)

    def _headers(self, target: Target) -> Mapping[str, str]:
        """Return the headers that mirror arguments, where the tool's schema asks for them."""
        schema = target.definition.get("inputSchema")
        if not target.mirrors or not isinstance(target.link.connection.channel, HttpChannel):
            return {}
        from mcp.shared.inbound import (  # noqa: PLC0415 - the SDK loads slowly, most tools need none
            find_invalid_x_mcp_header,
            mcp_param_headers,
            x_mcp_header_map,
        )

        if find_invalid_x_mcp_header(schema) is not None:
            return {}
        arguments = object_member(target.params, "arguments")
        return mcp_param_headers(x_mcp_header_map(schema), arguments)


def _families(capabilities: Json) -> set[str]:
    """Return the first parts of the extension methods that a server's capabilities speak of."""
    families = {"tasks"} if "tasks" in capabilities else set[str]()
    for member in ("extensions", "experimental"):
        for identifier in object_member(capabilities, member):
            families.add(identifier.rpartition("/")[2])
            families.add(identifier)
    return families
