"""The stdio face: a thin relay of lines between an IDE and the daemon's private socket.

An IDE starts it once per window, so it imports nothing outside the standard library.
"""


def run_bridge(arguments: list[str]) -> int:
    """Relay standard input and output to the daemon until either side closes.

    Args:
        arguments: The words after `serve`.

    Returns:
        The exit status.
    """
    raise NotImplementedError(arguments)
