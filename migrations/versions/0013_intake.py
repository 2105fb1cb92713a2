"""What no member of staff typed: applications of customers and shop systems, and what shop systems were answered."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Keep applications and requests under the keys of their senders."""
    op.create_table(
        "applications",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("via", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("request", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("order_no", sa.String(), nullable=False),
        sa.Column("operator", sa.String(), nullable=False),
        sa.Column("is_assigned", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("via", "key"),
    )
    for name in ("order_no", "run_id", "created_at"):
        op.create_index(op.f(f"ix_applications_{name}"), "applications", [name])
    op.create_table(
        "requests",
        sa.Column("client", sa.String(), primary_key=True),
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.Text(), server_default=sa.text("''"), nullable=False),
    )
    op.create_index(op.f("ix_requests_begun_at"), "requests", ["begun_at"])


def downgrade() -> None:
    """Refuse: rows of a newer version would be lost; restore a backup instead."""
    raise NotImplementedError("There is no way back; restore a backup.")
