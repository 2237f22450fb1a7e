"""Runs an agent whose tool never answers, and prints the run's id when the call has begun.

Arguments: the store's folder, a folder for the rest, the user.
"""

import asyncio
import sys
from pathlib import Path

from tests.agents.scene import open_agents
from tests.agents.test_loop import call


async def main(store: str, folder: str, user: str) -> None:
    """Begin, and hang until killed."""
    async with open_agents(Path(store), Path(folder), user=user) as scene:
        turns = [
            call("notes__read", title="a"),
            call("notes__wait"),
            {"reply": "It said: ${result}"},
        ]
        scene.agent("patient", turns)
        active = await scene.start("patient")
        await scene.notes.begun.wait()
        sys.stdout.write(f"{active.run.id}\n")
        sys.stdout.flush()
        await active.wait()


asyncio.run(main(*sys.argv[1:]))
