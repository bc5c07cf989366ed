"""Accounts, whose each conversation is, and the tables of chat platforms where they were never used."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_TEXT = sa.String


def upgrade() -> None:
    _add_what_came_later()
    op.add_column("conversations", sa.Column("owner", _TEXT(64), nullable=False, server_default=""))
    op.create_index("ix_conversations_owner", "conversations", ["owner"])
    op.create_index("ix_usage_key_day", "usage", ["key", "day"])
    op.create_table(
        "users",
        sa.Column("id", _TEXT(64), primary_key=True),
        sa.Column("name", _TEXT(255), nullable=False, unique=True),
        sa.Column("email", _TEXT(255), nullable=False, server_default=""),
        sa.Column("issuer", _TEXT(255), nullable=False),
        sa.Column("subject", _TEXT(255), nullable=False),
        sa.Column("role", _TEXT(16), nullable=False),
        sa.Column("groups", sa.JSON, nullable=False),
        sa.Column("password", _TEXT(255), nullable=False, server_default=""),
        sa.Column("epoch", sa.Integer, nullable=False, server_default="0"),
        sa.Column("disabled", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("created_at", _TEXT(32), nullable=False),
        sa.Column("signed_in_at", _TEXT(32)),
        sa.UniqueConstraint("issuer", "subject"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", _TEXT(32), primary_key=True),
        sa.Column("name", _TEXT(255), nullable=False),
        sa.Column("hash", _TEXT(64), nullable=False),
        sa.Column("role", _TEXT(16), nullable=False),
        sa.Column("permissions", sa.JSON, nullable=False),
        sa.Column("groups", sa.JSON, nullable=False),
        sa.Column("quotas", sa.JSON, nullable=False),
        sa.Column("created_by", _TEXT(64), nullable=False),
        sa.Column("created_at", _TEXT(32), nullable=False),
        sa.Column("expires_at", _TEXT(32)),
        sa.Column("revoked_at", _TEXT(32)),
        sa.Column("used_at", _TEXT(32)),
    )
    op.create_table(
        "counters",
        sa.Column("principal", _TEXT(64), primary_key=True),
        sa.Column("what", _TEXT(32), primary_key=True),
        sa.Column("window", _TEXT(32), primary_key=True),
        sa.Column("amount", sa.Float, nullable=False),
        sa.Column("until", sa.Float, nullable=False, index=True),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", _TEXT(32), nullable=False, index=True),
        sa.Column("actor", _TEXT(64), nullable=False, index=True),
        sa.Column("action", _TEXT(64), nullable=False, index=True),
        sa.Column("object", _TEXT(255), nullable=False),
        sa.Column("outcome", _TEXT(16), nullable=False),
        sa.Column("address", _TEXT(64), nullable=False),
        sa.Column("trace_id", _TEXT(32), nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
    )
    op.create_table(
        "secrets",
        sa.Column("name", _TEXT(64), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("at", _TEXT(32), nullable=False),
    )


def downgrade() -> None:
    """Users, keys, the audit log and whose each conversation is are lost; conversations stay, as everybody's."""
    for table in ("secrets", "audit", "counters", "api_keys", "users"):
        op.drop_table(table)
    op.drop_index("ix_usage_key_day", "usage")
    op.drop_index("ix_conversations_owner", "conversations")
    op.drop_column("conversations", "owner")


def _add_what_came_later() -> None:
    """Before there were migrations, tables were made by the first program that needed them."""
    there = set(sa.inspect(op.get_bind()).get_table_names())
    if "usage" not in there:
        op.create_table(
            "usage",
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("at", _TEXT(32), nullable=False),
            sa.Column("day", _TEXT(10), nullable=False, index=True),
            sa.Column("model", sa.Text, nullable=False),
            sa.Column("key", sa.Text, nullable=False),
            sa.Column("conversation_id", _TEXT(64), nullable=False),
            sa.Column("answer_id", _TEXT(64), nullable=False),
            sa.Column("prompt_tokens", sa.Integer, nullable=False),
            sa.Column("completion_tokens", sa.Integer, nullable=False),
            sa.Column("cost", sa.Float, nullable=False),
        )
    for name, columns in _chat().items():
        if name not in there:
            op.create_table(name, *columns)


def _chat() -> dict[str, tuple[sa.Column[Any], ...]]:
    return {
        "chat_seen": (sa.Column("key", _TEXT(255), primary_key=True), sa.Column("at", sa.Float, nullable=False, index=True)),
        "chat_threads": (
            sa.Column("thread", _TEXT(255), primary_key=True),
            sa.Column("holder", _TEXT(64), nullable=False),
            sa.Column("until", sa.Float, nullable=False),
            sa.Column("joined", sa.Boolean, nullable=False),
            sa.Column("last_ts", _TEXT(32), nullable=False),
            sa.Column("last_speaker", _TEXT(64), nullable=False),
            sa.Column("last_to_bot", sa.Boolean, nullable=False),
        ),
        "chat_jobs": (
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("thread", _TEXT(255), nullable=False, index=True),
            sa.Column("position", _TEXT(32), nullable=False),
            sa.Column("kind", _TEXT(16), nullable=False),
            sa.Column("state", _TEXT(16), nullable=False, index=True),
            sa.Column("due", sa.Float, nullable=False),
            sa.Column("attempts", sa.Integer, nullable=False),
            sa.Column("payload", sa.JSON, nullable=False),
            sa.Column("progress", sa.JSON, nullable=False),
            sa.Column("at", sa.Float, nullable=False),
        ),
        "chat_answers": (
            sa.Column("answer_id", _TEXT(64), primary_key=True),
            sa.Column("thread", _TEXT(255), nullable=False, index=True),
            sa.Column("position", _TEXT(32), nullable=False),
            sa.Column("channel", _TEXT(255), nullable=False),
            sa.Column("asker", _TEXT(64), nullable=False, index=True),
            sa.Column("asked", sa.Text, nullable=False),
            sa.Column("answer_object", sa.JSON, nullable=False),
            sa.Column("at", _TEXT(32), nullable=False),
        ),
        "chat_posts": (
            sa.Column("post", _TEXT(255), primary_key=True),
            sa.Column("answer_id", _TEXT(64), nullable=False, index=True),
        ),
        "chat_feedback": (
            sa.Column("answer_id", _TEXT(64), primary_key=True),
            sa.Column("person", _TEXT(64), primary_key=True),
            sa.Column("thumb", sa.Integer, nullable=False),
            sa.Column("reason", sa.Text),
            sa.Column("right_source", sa.Text),
            sa.Column("at", _TEXT(32), nullable=False),
        ),
        "chat_channels": (
            sa.Column("channel", _TEXT(255), primary_key=True),
            sa.Column("settings", sa.JSON, nullable=False),
            sa.Column("changed_by", _TEXT(64), nullable=False),
            sa.Column("at", _TEXT(32), nullable=False),
        ),
    }
