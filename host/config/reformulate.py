"""How a message is rewritten before an agent gets it, `reformulate:` of host.yaml."""

from pathlib import Path

from pydantic import model_validator

from host.config.document import StrictModel


class ReformulateConfig(StrictModel):
    """What `host run --reformulate` rewrites a message with."""

    model: str = "default"
    """A name or route of models.yaml, or `provider:name`; a small model will do."""
    prompt: str | None = None
    """What the model is told; None means the prompt `reformulate` of the library."""
    prompt_file: Path | None = None
    """A file that says it, seen from the configuration folder; None means `prompt`."""

    @model_validator(mode="after")
    def _one_source(self) -> "ReformulateConfig":
        if self.prompt is not None and self.prompt_file is not None:
            raise ValueError("Only one of prompt and prompt_file can be given")
        return self
