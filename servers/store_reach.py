"""What a confined server that uses the store reaches besides; the memory and search servers'."""

import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from host.config.environment import child_place
from host.memory.config import EmbedderConfig, LocalEmbedderConfig
from host.storage.brokered import start_broker
from servers.launch import Reach

_DNS = 53
_SERVICE_PORTS = {"http": 80, "https": 443}
_POSTGRES_PORT = "5432"
_KEY_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")


def prepare_store() -> None:
    """Split off who opens the embedded store, which a confined process cannot; one thread only."""
    place = child_place()
    if place.url is None:
        start_broker(place.data)


def store_reach() -> Reach:
    """Return what reaching the store needs: the embedded server's socket, or a shared one's port.

    The folder of the embedded server is not among it.
    """
    url = child_place().url
    if url is None:
        return Reach(local_sockets=True, ports=())
    try:
        given = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except psycopg.ProgrammingError:
        return Reach(ports=())  # the store will say what is wrong with it
    hosts = given.get("host", given.get("hostaddr", "")).split(",")
    local = any(not host or host.startswith("/") for host in hosts)
    ports = tuple(int(port or _POSTGRES_PORT) for port in given.get("port", "").split(","))
    files = [Path(given[name]) for name in _KEY_FILES if name in given]
    own = [Path("~/.postgresql"), Path("~/.pgpass"), Path("~/.pg_service.conf")]
    return Reach(read=(*files, *own), local_sockets=local, ports=(*ports, _DNS))


def embedder_reach(embedder: EmbedderConfig | None) -> Reach:
    """Return what making vectors needs: a service's port, or a model's folder and its source."""
    if embedder is None:
        return Reach(ports=())
    if isinstance(embedder, LocalEmbedderConfig):
        cached = (Path("~/.cache/huggingface"), Path(tempfile.gettempdir(), "fastembed_cache"))
        return Reach((Path(embedder.model),), cached, made=cached, ports=(443, _DNS))
    address = urlsplit(embedder.url)
    port = address.port or _SERVICE_PORTS.get(address.scheme, 443)
    return Reach(ports=(port, _DNS))


def joined(one: Reach, other: Reach) -> Reach:
    """Return what both reach."""
    ports = None if one.ports is None or other.ports is None else (*one.ports, *other.ports)
    return Reach(
        one.read + other.read,
        one.write + other.write,
        one.made + other.made,
        one.local_sockets or other.local_sockets,
        ports,
    )
