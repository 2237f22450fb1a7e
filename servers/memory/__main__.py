"""Entry point of `python -m servers.memory`."""

from servers.launch import launch

if __name__ == "__main__":
    launch("memory")
