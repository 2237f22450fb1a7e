"""The root of the error tree that `host.domain.errors` draws."""

from typing_extensions import override


class HostError(Exception):
    """Base of every error that the host reports to a user.

    Args:
        message: What happened, to which named thing.
        next_step: What the reader can do about it; appended to the message.
    """

    exit_code = 1
    """Exit status of a command that ends with this error."""

    def __init__(self, message: str, *, next_step: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    @override
    def __str__(self) -> str:
        return f"{self.message} {self.next_step}" if self.next_step else self.message
