"""The tables of accounts, in the conversations' database. Times are ISO 8601 in UTC with microseconds."""

from __future__ import annotations

import sqlalchemy as sa

from rag_bot.tables import metadata

# A local user has the issuer `local` and its name as the subject; one of a sign-in provider what the provider says.
users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(255), nullable=False, unique=True),
    sa.Column("email", sa.String(255), nullable=False, default="", server_default=""),
    sa.Column("issuer", sa.String(255), nullable=False),
    sa.Column("subject", sa.String(255), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("groups", sa.JSON, nullable=False),
    sa.Column("password", sa.String(255), nullable=False, default="", server_default=""),
    # Grows when every session of the user is to end: a new password, a sign-out everywhere.
    sa.Column("epoch", sa.Integer, nullable=False, default=0, server_default="0"),
    sa.Column("disabled", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
    sa.Column("created_at", sa.String(32), nullable=False),
    sa.Column("signed_in_at", sa.String(32)),
    sa.UniqueConstraint("issuer", "subject"),
)
# The id is the part of a key that is shown; of the rest only a hash is kept.
api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("permissions", sa.JSON, nullable=False),
    sa.Column("groups", sa.JSON, nullable=False),
    sa.Column("quotas", sa.JSON, nullable=False),
    sa.Column("created_by", sa.String(64), nullable=False),
    sa.Column("created_at", sa.String(32), nullable=False),
    sa.Column("expires_at", sa.String(32)),
    sa.Column("revoked_at", sa.String(32)),
    sa.Column("used_at", sa.String(32)),
)
# What each principal has used of something (`questions`, `uploads`, …) in one window of time.
counters = sa.Table(
    "counters",
    metadata,
    sa.Column("principal", sa.String(64), primary_key=True),
    sa.Column("what", sa.String(32), primary_key=True),
    sa.Column("window", sa.String(32), primary_key=True),
    sa.Column("amount", sa.Float, nullable=False),
    sa.Column("until", sa.Float, nullable=False, index=True),
)
audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.String(32), nullable=False, index=True),
    sa.Column("actor", sa.String(64), nullable=False, index=True),
    sa.Column("action", sa.String(64), nullable=False, index=True),
    sa.Column("object", sa.String(255), nullable=False),
    sa.Column("outcome", sa.String(16), nullable=False),
    sa.Column("address", sa.String(64), nullable=False),
    sa.Column("trace_id", sa.String(32), nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
)
# What the service made for itself once and every replica must know, such as the key that sessions are signed with.
secrets = sa.Table(
    "secrets",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("at", sa.String(32), nullable=False),
)
