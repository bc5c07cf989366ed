"""The tables of what chat platforms need to be remembered, in the conversations' database."""

from __future__ import annotations

import sqlalchemy as sa

from rag_bot.tables import metadata

seen = sa.Table(
    "chat_seen",
    metadata,
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("at", sa.Float, nullable=False, index=True),
)
# A thread's row is what a process leases: whoever has it works on the thread's questions, one after another.
threads = sa.Table(
    "chat_threads",
    metadata,
    sa.Column("thread", sa.String(255), primary_key=True),
    sa.Column("holder", sa.String(64), nullable=False, default=""),
    sa.Column("until", sa.Float, nullable=False, default=0.0),
    sa.Column("joined", sa.Boolean, nullable=False, default=False),
    sa.Column("last_ts", sa.String(32), nullable=False, default=""),
    sa.Column("last_speaker", sa.String(64), nullable=False, default=""),
    sa.Column("last_to_bot", sa.Boolean, nullable=False, default=False),
)
jobs = sa.Table(
    "chat_jobs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("thread", sa.String(255), nullable=False, index=True),
    sa.Column("position", sa.String(32), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("due", sa.Float, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("payload", sa.JSON, nullable=False),
    sa.Column("progress", sa.JSON, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)
answers = sa.Table(
    "chat_answers",
    metadata,
    sa.Column("answer_id", sa.String(64), primary_key=True),
    sa.Column("thread", sa.String(255), nullable=False, index=True),
    sa.Column("position", sa.String(32), nullable=False),
    sa.Column("channel", sa.String(255), nullable=False),
    sa.Column("asker", sa.String(64), nullable=False, index=True),
    sa.Column("asked", sa.Text, nullable=False),
    sa.Column("answer_object", sa.JSON, nullable=False),
    sa.Column("at", sa.String(32), nullable=False),
)
posts = sa.Table(
    "chat_posts",
    metadata,
    sa.Column("post", sa.String(255), primary_key=True),
    sa.Column("answer_id", sa.String(64), nullable=False, index=True),
)
feedback = sa.Table(
    "chat_feedback",
    metadata,
    sa.Column("answer_id", sa.String(64), primary_key=True),
    sa.Column("person", sa.String(64), primary_key=True),
    sa.Column("thumb", sa.Integer, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("right_source", sa.Text),
    sa.Column("at", sa.String(32), nullable=False),
)
channels = sa.Table(
    "chat_channels",
    metadata,
    sa.Column("channel", sa.String(255), primary_key=True),
    sa.Column("settings", sa.JSON, nullable=False),
    sa.Column("changed_by", sa.String(64), nullable=False),
    sa.Column("at", sa.String(32), nullable=False),
)
