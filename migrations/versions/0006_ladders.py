"""How far a promise has climbed its ladder, and when the next rung is reached."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add two columns of promises; the next round looks at every open one and finds its place."""
    op.add_column("promises", sa.Column("rungs", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("promises", sa.Column("rung_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "promises_climbing",
        "promises",
        ["rung_at"],
        unique=False,
        postgresql_where=sa.text("ended_at is null and rung_at is not null"),
    )
    op.execute("update promises set rung_at = started_at where ended_at is null")


def downgrade() -> None:
    """Refuse: rows of a newer version would be lost; restore a backup instead."""
    raise NotImplementedError("There is no way back; restore a backup.")
