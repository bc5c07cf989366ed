"""How the database comes from one revision to another, by Alembic, on a connection that is in a transaction already."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config


def run(connection: sa.Connection, found: str, wanted: str) -> None:
    """From the revision `found` to the revision `wanted`, forwards or back."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    if not sa.inspect(connection).has_table("alembic_version"):  # from before there were migrations
        command.stamp(config, found)
    if wanted > found:
        command.upgrade(config, wanted)
    elif wanted < found:
        command.downgrade(config, wanted)
