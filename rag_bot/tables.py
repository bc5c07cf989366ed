"""The tables of conversations, feedback and what LLMs took; `metadata` holds those of chat platforms and accounts as well."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()
# What programs look at that know nothing of migrations: they refuse a number that they don't know.
version = sa.Table("schema_version", metadata, sa.Column("version", sa.Integer, primary_key=True, autoincrement=False))
conversations = sa.Table(
    "conversations",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("owner", sa.String(64), nullable=False, default="", server_default="", index=True),
    # Times are ISO 8601 in UTC with microseconds: as text they sort by time in every database.
    sa.Column("created_at", sa.String(32), nullable=False),
    sa.Column("updated_at", sa.String(32), nullable=False, index=True),
)
turns = sa.Table(
    "turns",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("conversation_id", sa.ForeignKey(conversations.c.id, ondelete="CASCADE"), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("answer_id", sa.String(64), nullable=False, unique=True),
    sa.Column("asked", sa.Text, nullable=False),
    sa.Column("standalone", sa.Text, nullable=False),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Column("abstained", sa.Boolean, nullable=False),
    sa.Column("answer_object", sa.JSON, nullable=False),
    sa.Column("at", sa.String(32), nullable=False),
    sa.UniqueConstraint("conversation_id", "position"),
)
feedback = sa.Table(
    "feedback",
    metadata,
    sa.Column("answer_id", sa.ForeignKey(turns.c.answer_id, ondelete="CASCADE"), primary_key=True),
    sa.Column("thumb", sa.Integer, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("right_source", sa.Text),
    sa.Column("at", sa.String(32), nullable=False),
)
# What was spent stays spent: no row here goes with its conversation.
usage = sa.Table(
    "usage",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("day", sa.String(10), nullable=False, index=True),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("conversation_id", sa.String(64), nullable=False),
    sa.Column("answer_id", sa.String(64), nullable=False),
    sa.Column("prompt_tokens", sa.Integer, nullable=False),
    sa.Column("completion_tokens", sa.Integer, nullable=False),
    sa.Column("cost", sa.Float, nullable=False),
    sa.Index("ix_usage_key_day", "key", "day"),
)
