"""Which promises the tags of their run do not show yet."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add a column of promises; the next round tags the runs of those that have climbed already."""
    op.add_column("promises", sa.Column("retags", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_index(
        "promises_untagged",
        "promises",
        ["case_no"],
        unique=False,
        postgresql_where=sa.text("retags and ended_at is null"),
    )
    op.execute("update promises set retags = true where ended_at is null and rungs > 0")


def downgrade() -> None:
    """Refuse: rows of a newer version would be lost; restore a backup instead."""
    raise NotImplementedError("There is no way back; restore a backup.")
