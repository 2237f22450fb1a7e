"""Claude with more schemas than Anthropic's package takes, and a word where it would mangle one."""

from dataclasses import replace

from pydantic_ai.exceptions import UserError
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.anthropic import AnthropicModel
from typing_extensions import override

from host.models.schema_shape import open_place, refers_to_itself, split_types


class ClaudeModel(AnthropicModel):
    """Writes lists of types as alternatives; refuses natively what would lose its meaning."""

    @override
    def customize_request_parameters(
        self, model_request_parameters: ModelRequestParameters
    ) -> ModelRequestParameters:
        output = model_request_parameters.output_object
        if output is not None and output.strict:
            schema = split_types(output.json_schema)
            place = open_place(schema)
            if place is not None:
                # It is sent with no further members allowed: only {} would be left to answer.
                raise UserError(f"The schema lets any member into an object ({place}).")
            if refers_to_itself(schema):
                raise UserError("The schema refers to itself.")
            model_request_parameters = replace(
                model_request_parameters, output_object=replace(output, json_schema=schema)
            )
        return super().customize_request_parameters(model_request_parameters)
