"""A server that asks the person at the client something."""

from fastmcp import Context, FastMCP

server = FastMCP("asker")


@server.tool
async def ask(context: Context) -> str:
    """Ask for a colour, and return what came of it."""
    answer = await context.elicit("Which colour?", response_type=str)
    return f"{answer.action}: {getattr(answer, 'data', '')}"


if __name__ == "__main__":
    server.run(show_banner=False)
