"""The most pressing of each owner, without reading all that is open."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add an index of what is open."""
    op.create_index(
        "promises_pressing",
        "promises",
        [
            "owner",
            sa.text("(rungs = 0)"),
            sa.text("(rungs = 0 and rung_at is null)"),
            sa.text("coalesce(lapses_at, due_at)"),
            "id",
        ],
        unique=False,
        postgresql_where=sa.text("ended_at is null and (stage <> 'outer' or rungs > 0)"),
        postgresql_include=["stage", "case_no", "rungs", "rung_at", "due_at"],
    )


def downgrade() -> None:
    """Refuse: rows of a newer version would be lost; restore a backup instead."""
    raise NotImplementedError("There is no way back; restore a backup.")
