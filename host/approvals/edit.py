"""Checks the arguments that an approver puts in the place of the caller's."""

import jsonschema_rs

from host.domain.errors import EditError
from host.domain.jsonrpc import Json


def check_edit(arguments: Json, schema: Json | None) -> None:
    """Check edited arguments by the tool's input schema.

    Raises:
        EditError: They do not fit it, or the schema cannot be used to tell.
    """
    if schema is None:
        return
    try:
        # Linear-time patterns, and no reference is fetched: the schema is a stranger's.
        validator = jsonschema_rs.validator_for(
            schema, pattern_options=jsonschema_rs.RegexOptions(), offline=True
        )
        validator.validate(arguments)
    except jsonschema_rs.ValidationError as error:
        where = "".join(f"/{part}" for part in error.instance_path)
        raise EditError(
            f"The edited arguments do not fit the tool: {where or 'they'}: {error.message}.",
            next_step="Correct them; `host tools show NAME` says what the tool takes.",
        ) from error
    except (jsonschema_rs.ReferencingError, ValueError) as error:
        raise EditError(
            f"Edited arguments cannot be checked: the tool's schema is unusable ({error}).",
            next_step="Approve or deny the call as it is.",
        ) from error
