"""Parked steps, gates that answer themselves, units put back to stock, and imported rows that a person must place."""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add three tables, and two columns of promises."""
    op.create_table(
        "parks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("case_no", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("entry", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("owner", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("parked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("case_no", "entry"),
    )
    op.create_index("parks_due", "parks", ["retry_at"], unique=False, postgresql_where=sa.text("ended_at is null"))
    op.create_table(
        "restock",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("case_no", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("entry", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("line_no", sa.Integer(), nullable=False),
        sa.Column("sku", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("case_no", "entry", "line_no"),
    )
    op.create_table(
        "unplaced",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("source", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("row_key", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("reason", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column(
            "data", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("source", "row_key"),
    )
    op.create_index("unplaced_open", "unplaced", ["id"], unique=False, postgresql_where=sa.text("done_at is null"))
    op.add_column("promises", sa.Column("lapses_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("promises", sa.Column("reminds", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_index(
        "promises_lapsing",
        "promises",
        ["lapses_at"],
        unique=False,
        postgresql_where=sa.text("ended_at is null and lapses_at is not null"),
    )
    op.create_index(
        "promises_reminding",
        "promises",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("reminds and ended_at is null"),
    )
    op.create_index(
        "journal_parcels",
        "journal",
        [sa.text("(data ->> 'tracking_no')")],
        unique=False,
        postgresql_where=sa.text("kind = 'decision'"),
    )


def downgrade() -> None:
    """Refuse: rows of a newer version would be lost; restore a backup instead."""
    raise NotImplementedError("There is no way back; restore a backup.")
