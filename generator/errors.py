"""What can be wrong with a request for files: the errors of the generator."""


class GeneratorError(Exception):
    """A specification cannot be turned into files.

    Args:
        message: What was found, in which named thing.
        next_step: What the reader can do about it.
    """

    def __init__(self, message: str, *, next_step: str | None = None) -> None:
        super().__init__(f"{message} {next_step}" if next_step else message)
        self.message = message
        self.next_step = next_step
