"""Makes an agent ready for a run: its model, its tools, its instructions, its answer's shape."""

from typing import TYPE_CHECKING

from host.agents.cast import Cast
from host.agents.context import Context
from host.agents.library import Agent
from host.agents.offered import wanted_by
from host.agents.output import AnswerReader
from host.agents.paging import Pages
from host.agents.planned import PlannedReader
from host.agents.toolbox import Toolbox, Tools
from host.models.client import no_sampling
from host.models.models import Models, Scope
from host.models.name import DEFAULT_MODEL
from host.models.parameters import Parameters

if TYPE_CHECKING:
    from host.agents.active import Active


async def cast_agent(active: "Active", agent: Agent, models: Models, tools: Tools) -> Cast:
    """Return an agent that can take a conversation.

    Raises:
        HostError: Its model or its instructions are not to be had.
    """
    config, order = agent.config, active.order
    asked = order.model if agent.name == order.agent else ""
    principal = active.exchange.session.principal

    async def sample(params: dict[str, object]) -> dict[str, object]:
        # Alone, the client is asked all the same: its era has an answer of its own for that.
        if len(model.endpoints) > 1 and "sampling" not in active.exchange.capabilities:
            raise no_sampling()
        return await active.exchange.ask("sampling/createMessage", params)

    model = models.resolve(
        await chosen_model(models, asked or config.model),
        scope=Scope(user=principal.user, run=active.run.root, agent=agent.name),
        parameters=Parameters.model_validate(config.parameters) if config.parameters else None,
        sampler=sample,
        allowance=active.budget,
    )
    offered = await tools.offered(wanted_by(agent))
    schema = order.schema if agent.name == order.agent and order.schema else config.output
    reader: AnswerReader | None = PlannedReader(model, schema) if schema is not None else None
    return Cast(
        agent,
        model,
        agent.instructions(user=principal.user),
        Toolbox(
            {tool.name: tool for tool in offered}, Pages(config.result_tokens), config.handoffs
        ),
        Context(config.memory.buffer),
        reader,
    )


async def chosen_model(models: Models, name: str) -> str:
    """Return a model's name, with the one that is to be had in the place of `default`.

    Raises:
        ConfigError: There is none; the message says how to get one.
    """
    named = name in models.config.models or name in models.config.routes
    return await models.default() if name == DEFAULT_MODEL and not named else name
