"""The composition root: settings in, a wired host out."""

from host.app.host import TERMINAL, Host, log_file

__all__ = ["TERMINAL", "Host", "log_file"]
