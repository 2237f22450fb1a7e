"""Puts the open approvals of a host together from its configuration."""

import hashlib
import secrets
import socket
from pathlib import Path

from host.approvals.board import Board, Herald, Note
from host.approvals.table import Runner
from host.config.approvals import ApprovalsConfig
from host.secrets.seal import Sealer
from host.storage.store import Store


def open_board(
    store: Store, sealer: Sealer, *, data_folder: Path, config: ApprovalsConfig, note: Note
) -> Board:
    """Return the open approvals of a data folder.

    Args:
        store: Keeps them.
        sealer: Seals parked arguments.
        data_folder: Of which one daemon runs at a time; by it an earlier run's calls are known.
        config: How people are asked.
        note: Records what is done.
    """
    place = f"{socket.gethostname()}\0{data_folder.resolve()}"
    home = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    runner = Runner(home, secrets.token_hex(16))
    board = Board(store, sealer, runner=runner, config=config, note=note)
    set_config(board, config)
    return board


def set_config(board: Board, config: ApprovalsConfig) -> None:
    """Put another configuration into force."""
    heralds: list[Herald] = []
    if config.webhook is not None:
        from host.approvals.webhook import Webhook  # noqa: PLC0415 - its HTTP client loads slowly

        heralds.append(Webhook(config.webhook))
    if config.desktop:
        from host.approvals.desktop import DesktopHerald  # noqa: PLC0415 - rarely wanted

        heralds.append(DesktopHerald())
    board.config, board.heralds = config, tuple(heralds)
