"""JSON Schema output: asked for natively, else as a tool, else in words; checked and repaired."""

import json
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import jsonschema_rs
from pydantic import JsonValue
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from host.domain.errors import ConfigError, ModelOutputError
from host.domain.json_schema import embedded
from host.domain.names import nearest_names
from host.models.own import OwnModel
from host.models.route import RoutedModel
from host.models.schema_shape import combines, open_place

Mode = Literal["native", "tool", "prompted"]
"""How the schema is asked for."""
REPAIRS = 2
"""How often a reply that does not fit is sent back."""
TOOL = "final_result"
"""Name of the output tool."""
FAULTS_TOLD = 10
"""Most faults of a reply that the model is told at once."""
_ASK = (
    "Reply with one JSON value and nothing else: no explanation, no code fence. "
    "It must be valid against this JSON Schema:\n\n{schema}"
)


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """How one schema is asked for, read and repaired.

    Attributes:
        model: The model's name, for messages.
        mode: How it is asked for.
        schema: The JSON Schema.
        repairs: How often a reply that does not fit may be sent back.
        apart: Whether the model takes either a native schema or tools, so that beside tools the
            schema is asked for as one.
    """

    model: str
    mode: Mode
    schema: dict[str, Any]
    repairs: int
    apart: bool
    _wrapped: bool
    _validator: Any

    def apply(self, parameters: ModelRequestParameters) -> ModelRequestParameters:
        """Return the request's parameters with the schema in them."""
        asked = self._asked
        # OpenAI's strict mode would close objects that are open, and those that meet several.
        strict = False if open_place(asked) or combines(asked) else None
        described = OutputObjectDefinition(json_schema=asked, name=TOOL, strict=strict)
        if self.mode == "tool" or (self.apart and parameters.function_tools):
            tool = ToolDefinition(
                name=TOOL,
                description="Give the final result.",
                parameters_json_schema=asked,
                strict=strict,
                kind="output",
            )
            return replace(
                parameters,
                output_mode="tool",
                output_tools=[tool],
                output_object=None,
                allow_text_output=False,
            )
        template = _ASK if self.mode == "prompted" else None
        return replace(
            parameters,
            output_mode=self.mode,
            output_object=described,
            output_tools=[],
            prompted_output_template=template,
            allow_text_output=True,
        )

    @property
    def asks_inside(self) -> bool:
        """Whether the value is asked for as the field `value` of an object."""
        return self._wrapped and self.mode != "prompted"

    def takes(self, tool: str) -> bool:
        """Return whether a tool is the one that takes the result."""
        return tool == TOOL and (self.mode == "tool" or self.apart)

    def read(self, response: ModelResponse) -> JsonValue:
        """Return the value of a reply.

        Raises:
            ModelOutputError: There is none, or it does not fit; `feedback` says it to the model.
        """
        value = self._value(response)
        if self.asks_inside:
            if not isinstance(value, dict) or "value" not in value:
                raise self._wrong("The object lacks the field `value`.")
            value = cast("dict[str, Any]", value)["value"]
        faults = [
            f"{'/'.join(str(step) for step in fault.instance_path) or '(top)'}: {fault.message}"
            for fault in self._validator.iter_errors(value)
        ]
        if faults:
            raise self._wrong("; ".join(faults[:FAULTS_TOLD]))
        return value

    def feedback(self, response: ModelResponse, error: ModelOutputError) -> ModelRequest:
        """Return the message that tells the model what is wrong with its reply."""
        calls = [part for part in response.parts if isinstance(part, ToolCallPart)]
        if not calls:
            return ModelRequest([UserPromptPart(error.feedback)])
        parts = [
            ToolReturnPart(
                call.tool_name, error.feedback, tool_call_id=call.tool_call_id, outcome="failed"
            )
            for call in calls
        ]
        return ModelRequest(parts)

    @property
    def _asked(self) -> dict[str, Any]:
        """Return the schema to send: an object, which is what tools and native modes want."""
        if not self.asks_inside:
            return self.schema
        return {
            "type": "object",
            "properties": {"value": embedded(self.schema, "#/properties/value")},
            "required": ["value"],
            "additionalProperties": False,
        }

    def _value(self, response: ModelResponse) -> Any:  # noqa: ANN401 - any JSON value
        for part in response.parts:
            if isinstance(part, ToolCallPart) and part.tool_name == TOOL:
                return self._parse(part.args_as_json_str())
        text = "".join(part.content for part in response.parts if isinstance(part, TextPart))
        if not text.strip():
            raise self._wrong("The reply holds no JSON.")
        return self._parse(_unfenced(text))

    def _parse(self, text: str) -> Any:  # noqa: ANN401 - any JSON value
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._wrong(f"The reply is not JSON: {error}.") from error

    def _wrong(self, what: str) -> ModelOutputError:
        return ModelOutputError(
            f"The reply of {self.model} is not what the schema asks for: {what}",
            model=self.model,
            feedback=f"Your result is not valid: {what}\nGive the whole result again, corrected.",
        )


@dataclass(frozen=True, slots=True)
class JsonReply:
    """A value that fits its schema, and how it came about.

    Attributes:
        messages: All that was said after the given messages, replies that did not fit included.
        repairs: How many of them there were.
    """

    value: JsonValue
    response: ModelResponse
    messages: tuple[ModelMessage, ...]
    repairs: int


def plan_output(
    model: Model[Any],
    schema: dict[str, Any],
    *,
    mode: Mode | None = None,
    repairs: int = REPAIRS,
) -> OutputPlan:
    """Return how a model is asked for a value of a schema.

    Args:
        model: The model.
        schema: A JSON Schema; references to elsewhere are not followed.
        mode: How; None: native where the model has it, else a tool, else in words. A schema that
            the vendor's package does not take in this way is asked for in the next one.
        repairs: How often a reply that does not fit may be sent back.

    Raises:
        ConfigError: The schema is not one.
    """
    validator = output_validator(schema)
    # Natively and for a tool, vendors want an object at the top, and no alternatives there.
    wrapped = schema.get("type") != "object" or any(name in schema for name in _ALTERNATIVES)
    chosen = mode or best_mode(model)
    apart = chosen == "native" and any(map(_keeps_apart, _inner(model)))
    plan = OutputPlan(model.model_name, chosen, schema, repairs, apart, wrapped, validator)
    while plan.mode != "prompted" and not all(_takes(one, plan) for one in _inner(model)):
        plan = replace(plan, mode=_ORDER[_ORDER.index(plan.mode) + 1], apart=False)
    return plan


def output_validator(schema: dict[str, Any]) -> Any:  # noqa: ANN401 - one of several classes of the package
    """Return what checks values by a schema; references to elsewhere are not followed.

    Raises:
        ConfigError: It is not a JSON Schema.
    """
    try:
        return jsonschema_rs.validator_for(schema, retriever=_refuse)
    except jsonschema_rs.ValidationError as error:
        place = "/".join(str(part) for part in error.instance_path) or "top level"
        near = nearest_names(str(error.instance), _TYPES) if place.endswith("type") else []
        raise ConfigError(
            f"The output schema is not a JSON Schema: {place}: {error.message}.",
            next_step=f"Did you mean {', '.join(near)}?" if near else None,
        ) from error
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise ConfigError(f"The output schema is not a JSON Schema: {error}.") from error


_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")

_ALTERNATIVES = ("anyOf", "oneOf", "allOf", "$ref", "enum", "const", "not", "if")


def _takes(model: Model[Any], plan: OutputPlan) -> bool:
    """Whether the vendor's package can put a schema into its format."""
    if isinstance(model, OwnModel):
        return True  # there is no such package
    try:
        model.prepare_request(None, plan.apply(ModelRequestParameters()))
    except (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        return False  # `transform_schema` and its like raise any of these at what they do not know
    return True


def _inner(model: Model[Any]) -> list[Model[Any]]:
    if isinstance(model, RoutedModel):
        return [endpoint.inner for endpoint in model.endpoints]
    return [model]


def _keeps_apart(model: Model[Any]) -> bool:
    """Whether a model takes either a schema or tools: Gemini up to 2.5, and those of Ollama."""
    if model.system == "ollama":
        return True  # what it writes is held to the schema, so that it cannot write a call
    google = model.system.startswith("google")
    return google and not model.profile.get("google_supports_tool_combination", False)


def best_mode(model: Model[Any]) -> Mode:
    """Return how a model is asked for JSON best; of a route, how all its models can be."""
    if isinstance(model, RoutedModel):
        modes = [
            endpoint.schema_output or _known_mode(endpoint.inner) for endpoint in model.endpoints
        ]
        return _ORDER[max(_ORDER.index(mode) for mode in modes)]
    return _known_mode(model)


_ORDER: tuple[Mode, ...] = ("native", "tool", "prompted")


def _known_mode(model: Model[Any]) -> Mode:
    profile = model.profile
    if profile.get("supports_json_schema_output", False):
        return "native"
    default = profile.get("default_structured_output_mode")
    return "tool" if profile.get("supports_tools", True) and default != "prompted" else "prompted"


async def request_json(
    model: Model[Any],
    messages: list[ModelMessage],
    plan: OutputPlan,
    *,
    settings: ModelSettings | None = None,
    parameters: ModelRequestParameters | None = None,
) -> JsonReply:
    """Ask a model for a value of a schema, and again where it does not fit.

    Raises:
        ModelOutputError: It never fitted.
        ModelError: The model could not be asked.
    """
    asked = plan.apply(parameters or ModelRequestParameters())
    said: list[ModelMessage] = []
    repairs = 0
    while True:
        response = await model.request([*messages, *said], settings, asked)
        said.append(response)
        try:
            return JsonReply(plan.read(response), response, tuple(said), repairs)
        except ModelOutputError as error:
            if repairs >= plan.repairs:
                raise
            repairs += 1
            said.append(plan.feedback(response, error))


def _unfenced(text: str) -> str:
    """Return the JSON of a reply that was put into a code fence or between words."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```"):
        text = text.removeprefix("```json").removeprefix("```").removesuffix("```")
    if text[:1] not in set('{["-0123456789tfn'):
        starts = [place for place in (text.find("{"), text.find("[")) if place >= 0]
        ends = max(text.rfind("}"), text.rfind("]"))
        if starts and ends > min(starts):
            text = text[min(starts) : ends + 1]
    return text


def _refuse(address: str) -> JsonValue:
    raise ValueError(f"{address} is elsewhere")


__all__ = ["JsonReply", "Mode", "OutputPlan", "best_mode", "plan_output", "request_json"]
