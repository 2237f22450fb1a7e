"""The composition root: settings in, a wired host out."""

from host.app.host import TERMINAL, Host

__all__ = ["TERMINAL", "Host"]
