from typing import Any


class AllToOther:
    """The default database holds nothing: a statement that goes there finds no table."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "other"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "other"

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == "other"
