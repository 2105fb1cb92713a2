"""Which rungs of a ladder are behind, by name: a ladder may change while a promise stands on it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Name what is behind: of a case what its history told last, of lists of visits by the ladder they had so far."""
    for table in ("promises", "visits"):
        op.add_column(table, sa.Column("told", JSONB(), server_default=sa.text("'[]'"), nullable=False))
    op.execute(
        "update promises p set told = coalesce((select jsonb_agg(name order by last) from ("
        " select data ->> 'rung' as name, max(seq) as last, row_number() over (order by max(seq) desc) as place"
        " from journal j where j.case_no = p.case_no and kind = 'rung' and data ->> 'stage' = p.stage group by 1"
        ") as rung where place <= p.rungs), '[]') where rungs > 0 and stage <> 'visit'"
    )
    for table, which in (("promises", "stage = 'visit'"), ("visits", "true")):
        op.execute(
            f'update {table} set told = jsonb_path_query_array(\'["reminder", "breach", "head"]\','
            f" '$[0 to $last]', jsonb_build_object('last', rungs - 1)) where rungs > 0 and {which}"
        )
    op.drop_column("visits", "rungs")


def downgrade() -> None:
    """Refuse: rows of a newer version would be lost; restore a backup instead."""
    raise NotImplementedError("There is no way back; restore a backup.")
