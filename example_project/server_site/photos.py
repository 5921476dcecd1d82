"""An album for every user without a camera: the pictures are computed, and differ from user to user."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256

WIDTH, HEIGHT = 160, 100
SUBJECTS = ("Morning at the lake", "The old lighthouse", "First snow", "Evening by the sea")
Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Photo:
    name: str
    title: str
    taken_on: date
    sky: Colour
    ground: Colour
    sun: int

    def png(self) -> bytes:
        """Return the picture: a sky that fades to the horizon, a sun and the ground."""
        rows = b"".join(b"\0" + b"".join(bytes(self._pixel(x, y)) for x in range(WIDTH)) for y in range(HEIGHT))
        header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
        chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)

    def _pixel(self, x: int, y: int) -> Colour:
        if y > HEIGHT * 7 // 10:
            return self.ground
        if (x - self.sun) ** 2 + (y - 45) ** 2 < 180:
            return (255, 244, 214)
        fade = y / HEIGHT
        red, green, blue = (int(part + (255 - part) * fade) for part in self.sky)
        return (red, green, blue)


def album_of(username: str) -> list[Photo]:
    return [_photo(username, number, title) for number, title in enumerate(SUBJECTS)]


def _photo(username: str, number: int, title: str) -> Photo:
    draw = sha256(f"{username} {number}".encode()).digest()
    return Photo(
        name=title.lower().replace(" ", "-"),
        title=title,
        taken_on=date(2026, 1, 1) + timedelta(days=draw[0]),
        sky=(draw[1] // 2, 60 + draw[2] // 3, 130 + draw[3] // 3),
        ground=(draw[4] // 4, 40 + draw[5] // 3, 30 + draw[6] // 4),
        sun=20 + draw[7] * (WIDTH - 40) // 255,
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
