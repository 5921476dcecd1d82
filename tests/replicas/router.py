from typing import Any


class ReadsFromReplica:
    """Whatever can be read from the replica is, as far as a router decides; sessions alone are read where they are."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "default" if model._meta.app_label == "sessions" else "replica"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool:
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == "default"
