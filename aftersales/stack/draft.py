"""
Draft a migration: `make migration NAME="say what it adds"`.

A fresh PostgreSQL is brought to the newest version; what the tables in code have beyond it becomes the draft.
While nothing was ever released, `--first` writes the first tables anew instead.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from aftersales.stack import postgres, schema


def main(name: str) -> None:
    """Write the next file of `migrations/versions`, to be read and corrected by a person."""
    versions = schema.MIGRATIONS / "versions"
    work = Path(tempfile.mkdtemp(prefix="aftersales-draft-"))
    work.chmod(0o711)
    try:
        with postgres.cluster(postgres.make_home(work / "home"), quick=True).running(**postgres.QUICK) as server:
            schema.create(server.url())
            if name == "--first":
                (work / "versions").mkdir()
                schema.draft(server.url(), "first tables", "0001", folder=work / "versions")
                shutil.copy(work / "versions" / "0001_first_tables.py", versions)
            else:
                schema.upgrade(server.url())
                schema.draft(server.url(), name, f"{int(schema.newest() or 0) + 1:04}", folder=versions)
    finally:
        shutil.rmtree(work)
    ruff = Path(sys.executable).with_name("ruff")
    subprocess.run([ruff, "check", "--fix", "--quiet", versions], check=True)
    subprocess.run([ruff, "format", "--quiet", versions], check=True)


if __name__ == "__main__":
    main(sys.argv[1])
