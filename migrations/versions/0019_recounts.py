"""What was counted without a year's calendar, to be found when that year is known."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

UNCOUNTED = "substring(calendars, '([0-9]{4}):-')"


def upgrade() -> None:
    """Add an index of what is open and was counted without a year."""
    op.create_index(
        "promises_uncounted",
        "promises",
        [sa.text(f"({UNCOUNTED})"), "id"],
        unique=False,
        postgresql_where=sa.text(f"ended_at is null and {UNCOUNTED} is not null"),
    )


def downgrade() -> None:
    """Refuse: rows of a newer version would be lost; restore a backup instead."""
    raise NotImplementedError("There is no way back; restore a backup.")
