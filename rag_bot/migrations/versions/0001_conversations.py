"""Conversations, feedback, usage and chat platforms: the tables from before there were migrations."""

from __future__ import annotations

revision = "0001"
down_revision = None


def upgrade() -> None:
    """A database that is at this revision was made by a program, not by this."""


def downgrade() -> None:
    """There is nothing before it."""
