"""An answer's shape, asked for in the way that the model can do best."""

from pydantic_ai.messages import ModelResponse, ToolCallPart
from pydantic_ai.models import Model, ModelRequestParameters

from host.agents.output import Reading
from host.domain.errors import ModelOutputError, OutputError
from host.domain.jsonrpc import Json
from host.models.output import plan_output


class PlannedReader:
    """Asks for JSON of a schema, natively, as a tool's arguments or in words.

    Args:
        model: The model that is asked.
        schema: JSON Schema of the answer.
    """

    def __init__(self, model: Model, schema: Json) -> None:
        self._plan = plan_output(model, schema)

    def apply(self, parameters: ModelRequestParameters) -> ModelRequestParameters:
        """Return parameters that ask for the shape."""
        return self._plan.apply(parameters)

    def takes(self, tool: str) -> bool:
        """Whether a tool is the one by which the model gives its answer."""
        return self._plan.takes(tool)

    def read(self, response: ModelResponse) -> Reading:
        """Return the answer in a reply."""
        call = next(
            (p for p in response.parts if isinstance(p, ToolCallPart) and self.takes(p.tool_name)),
            None,
        )
        try:
            value = self._plan.read(response)
        except ModelOutputError as error:
            if call is None:
                return Reading(fault=error.feedback, why=error.message)
            call_id, tool = call.tool_call_id, call.tool_name
            return Reading(fault=error.feedback, why=error.message, call_id=call_id, tool=tool)
        return Reading(value, response.text or (call.args_as_json_str() if call else ""))

    def error(self, agent: str, fault: str) -> OutputError:
        """Return the error of a run whose answers stayed wrong."""
        return OutputError(
            f"The answer of {agent} never met its schema. {fault}",
            next_step="Simplify the schema, or give the agent a stronger model.",
        )
