"""A PostgreSQL server of its own for the tests, on 127.0.0.1, where the programs for one are installed."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")
_ROOT = "postgresql+pg8000://tests@127.0.0.1:{port}/postgres"


class Absent(Exception):
    """Why there can be none."""


def programs() -> Path:
    """The folder of `initdb` and `pg_ctl`. Raises Absent."""
    found = [Path(which).resolve().parent] if (which := shutil.which("initdb")) else []
    found += sorted((path for place in _PLACES for path in Path("/").glob(place.lstrip("/"))), reverse=True)
    for folder in found:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    raise Absent("no PostgreSQL server is installed (initdb, pg_ctl): apt-get install postgresql")


@contextmanager
def server() -> Iterator[Databases]:
    """A server while the block lasts. Raises Absent."""
    folder, owner = programs(), _owner()
    with TemporaryDirectory(prefix="rag-bot-postgres-") as name:
        data = Path(name) / "data"
        os.chmod(name, 0o755)
        data.mkdir(mode=0o700)
        if owner:
            shutil.chown(data, owner)
        _run([folder / "initdb", "-D", data, "-U", "tests", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"], owner)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = f"-F -c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories= -c max_connections=60"

        def start() -> None:
            _run([folder / "pg_ctl", "-D", data, "-w", "-l", data / "log", "-o", options, "start"], owner)

        def stop() -> None:
            _run([folder / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop"], owner)

        start()
        databases = Databases(port, start, stop)
        try:
            yield databases
        finally:
            databases.close()
            stop()


class Databases:
    """Fresh databases of one server, which may be stopped, as by a failure of its power, and started again."""

    def __init__(self, port: int, start: Callable[[], None], stop: Callable[[], None]) -> None:
        self._port, self._made = port, 0
        self.start, self.stop = start, stop
        self._engine = sa.create_engine(_ROOT.format(port=port), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)

    def fresh(self) -> str:
        """The URL of an empty database."""
        self._made += 1
        with self._engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE fresh{self._made}")
        return f"postgresql+pg8000://tests@127.0.0.1:{self._port}/fresh{self._made}"

    def close(self) -> None:
        self._engine.dispose()


def _owner() -> str:
    """Whom the server runs as, where the tests run as root, whom PostgreSQL refuses."""
    if os.geteuid():
        return ""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise Absent("PostgreSQL does not run as root, and there is no user postgres or nobody")


def _run(command: Sequence[object], owner: str) -> None:
    done = subprocess.run(
        [str(one) for one in command],
        user=owner or None,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,  # the server would hold a pipe open
        stderr=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise Absent(f"{Path(str(command[0])).name} fails here (exit {done.returncode})")
