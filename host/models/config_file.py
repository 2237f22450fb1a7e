"""Reads `models.yaml`, the user's or the shipped one; for everyone, and quick to import."""

from pathlib import Path

from pydantic import ValidationError

from host.config.shipped import shipped_folder
from host.config.yaml import load_yaml
from host.domain.errors import InvalidConfigError
from host.models.config import ModelsConfig


def load_models_config(folder: Path) -> ModelsConfig:
    """Read `models.yaml` of a folder, or the shipped one if there is none.

    Raises:
        InvalidConfigError: It has faults; all are named.
    """
    own = folder / "models.yaml"
    file = own if own.exists() else shipped_folder("configs") / "models.yaml"
    document = load_yaml(file)
    try:
        return ModelsConfig.model_validate(document.value or {})
    except ValidationError as error:
        raise InvalidConfigError(
            document.error(fault["msg"], place=tuple(fault["loc"])) for fault in error.errors()
        ) from None
