"""Two column types: a digest of fixed width, and a text that is encrypted at rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from . import encryption
from .secrets import DIGEST_BYTES

# Generic for the type checker alone; at run time Django's fields are not.
if TYPE_CHECKING:
    Field = models.Field[Any, Any]
    TextField = models.TextField[Any, Any]
else:
    Field, TextField = models.Field, models.TextField


class DigestField(Field):
    """32 bytes; half as wide as hexadecimal, comparable byte by byte whatever the database's collation.

    Django's BinaryField is a BLOB on MariaDB and MySQL, which can't be a key. All drivers take bytes as they are.
    """

    empty_strings_allowed = False
    description = "SHA-256 digest"

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return {"postgresql": "bytea", "mysql": f"binary({DIGEST_BYTES})", "oracle": f"raw({DIGEST_BYTES})"}.get(
            connection.vendor, "blob"
        )

    def get_internal_type(self) -> str:
        return "BinaryField"

    def from_db_value(self, value: Any, *_: object) -> bytes | None:
        return None if value is None else bytes(value)

    def to_python(self, value: Any) -> bytes | None:
        """Accept bytes, or hexadecimal as the admin's URLs and fixtures carry it; raises ValidationError."""
        if value is None:
            return None
        try:
            # Through memoryview, as bytes() makes a number into that many zeros.
            raw = bytes.fromhex(value) if isinstance(value, str) else bytes(memoryview(value))
        except (TypeError, ValueError):
            raw = b""
        if len(raw) != DIGEST_BYTES:
            raise ValidationError("A digest has 64 hexadecimal digits.")
        return raw

    def get_prep_value(self, value: Any) -> bytes | None:
        return self.to_python(super().get_prep_value(value))

    def value_to_string(self, obj: models.Model) -> str:
        value = self.value_from_object(obj)
        return "" if value is None else value.hex()


_FIXTURE = "encrypted:"


class EncryptedTextField(TextField):
    """A text of any length that only the key ring can read; a plain str in Python.

    A value that no key opens is read as ``encryption.Unreadable``, so that a lost key breaks one row and not a page.
    Fixtures (``dumpdata``) hold it encrypted, behind ``encrypted:``, and are loaded where the same key is in the ring.
    """

    description = "Encrypted text"

    def get_prep_value(self, value: Any) -> Any:
        # Not TextField's, which would call to_python: that reads fixtures, and this value may come from a provider.
        value = Field.get_prep_value(self, value)
        if isinstance(value, encryption.Unreadable):
            return value.stored
        return encryption.encrypt(str(value)) if value else value

    def from_db_value(self, value: Any, *_: object) -> Any:
        return encryption.decrypt(value) if value else value

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and value.startswith(_FIXTURE):
            return encryption.decrypt(value.removeprefix(_FIXTURE))
        return super().to_python(value)

    def value_to_string(self, obj: models.Model) -> str:
        stored = self.get_prep_value(self.value_from_object(obj))
        return f"{_FIXTURE}{stored}" if stored else ""
