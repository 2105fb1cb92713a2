"""Lists of visits: one a day and agent, what was told of a visit that is late, and by which day figures count it."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Give visits the day they were first due, and how far their ladder has climbed; no agent has two lists a day."""
    op.add_column("visits", sa.Column("promised_on", sa.Date(), nullable=True))
    op.add_column("visits", sa.Column("rungs", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.create_index("visits_promised", "visits", ["promised_on"], postgresql_where=sa.text("promised_on is not null"))
    op.create_index(
        "cases_lists",
        "cases",
        ["operator", sa.text("(facts ->> 'on')"), sa.text("coalesce(rehearsal, '')")],
        unique=True,
        postgresql_where=sa.text("process = 'visits'"),
    )


def downgrade() -> None:
    """Refuse: rows of a newer version would be lost; restore a backup instead."""
    raise NotImplementedError("There is no way back; restore a backup.")
