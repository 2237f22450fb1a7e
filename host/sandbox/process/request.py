"""One brokered request on its way, for the connection that may have to end it."""

import anyio


class Request:
    """A brokered request being served; its scope is made by its task, the only place that can."""

    def __init__(self) -> None:
        self.scope: anyio.CancelScope | None = None
        self.cancelled = False

    def cancel(self) -> None:
        """End it, also where it has not begun."""
        self.cancelled = True
        if self.scope is not None:
            self.scope.cancel()
