"""Entry point of `python -m servers.files FOLDER...`."""

from servers.launch import launch

if __name__ == "__main__":
    launch("files", rest="roots")
