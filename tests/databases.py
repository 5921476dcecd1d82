"""What the database of this run is."""

from __future__ import annotations

from django.db import connection


def is_mysql() -> bool:
    """True on MySQL itself; Django calls MariaDB so too. Asks the server, so tests only may ask this."""
    return connection.vendor == "mysql" and not connection.mysql_is_mariadb  # type: ignore[attr-defined]
