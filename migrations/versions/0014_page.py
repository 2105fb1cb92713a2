"""How often somebody has tried something on the customer's page."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Count by a mark that names nobody; a restart or a second process begins nothing anew."""
    op.create_table(
        "attempts",
        sa.Column("mark", sa.String(), primary_key=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("until_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index(op.f("ix_attempts_until_at"), "attempts", ["until_at"])


def downgrade() -> None:
    """Refuse: rows of a newer version would be lost; restore a backup instead."""
    raise NotImplementedError("There is no way back; restore a backup.")
