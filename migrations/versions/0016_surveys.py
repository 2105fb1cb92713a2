"""Surveys: what customers are asked after a case has ended, and what they answered."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the table; cases that ended before are not asked about."""
    op.create_table(
        "surveys",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("case_no", sa.String(), nullable=False),
        sa.Column("order_no", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("rehearsal", sa.String(), nullable=True),
        sa.Column("terms", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("asked_by", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answers", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("score", sa.Numeric(3, 2), nullable=True),
        sa.Column("satisfied", sa.Boolean(), nullable=True),
        sa.Column("other_need", sa.Boolean(), nullable=True),
        sa.Column("via", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.ForeignKeyConstraint(["case_no"], ["cases.case_no"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("case_no"),
    )
    op.create_index("ix_surveys_order_no", "surveys", ["order_no"])
    op.create_index("ix_surveys_rehearsal", "surveys", ["rehearsal"])
    op.create_index(
        "surveys_due",
        "surveys",
        ["next_at", "id"],
        postgresql_where=sa.text("next_at is not null and rehearsal is null"),
    )
    op.create_index("surveys_sent", "surveys", ["sent_at"], postgresql_where=sa.text("sent_at is not null"))


def downgrade() -> None:
    """Refuse: rows of a newer version would be lost; restore a backup instead."""
    raise NotImplementedError("There is no way back; restore a backup.")
