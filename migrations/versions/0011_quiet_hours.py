"""The hours in which a customer wants to hear nothing."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add a customer's own quiet hours; empty: those of all customers."""
    op.add_column("customers", sa.Column("quiet", sa.Text(), server_default=sa.text("''"), nullable=False))


def downgrade() -> None:
    """Refuse: rows of a newer version would be lost; restore a backup instead."""
    raise NotImplementedError("There is no way back; restore a backup.")
