"""Reads a line in the middle of a run; unlike a thread that reads, it can be given up."""

from prompt_toolkit import PromptSession
from prompt_toolkit.output import create_output


async def read_line(prompt: str, begun: str = "") -> str:
    """Return what was typed.

    Args:
        prompt: Stands before the line.
        begun: Stands in the line already, to be edited.

    Raises:
        EOFError: Ctrl-D was typed.
        KeyboardInterrupt: Ctrl-C was typed.
    """
    # On the terminal even where standard output goes into a file.
    session: PromptSession[str] = PromptSession(output=create_output(always_prefer_tty=True))
    return await session.prompt_async(prompt, default=begun, handle_sigint=False)


async def read_secret(prompt: str) -> str:
    """Return what was typed, which is not shown.

    Raises:
        EOFError: Ctrl-D was typed.
        KeyboardInterrupt: Ctrl-C was typed.
    """
    session: PromptSession[str] = PromptSession(output=create_output(always_prefer_tty=True))
    return await session.prompt_async(prompt, is_password=True, handle_sigint=False)
