"""Every race, by its name."""

from __future__ import annotations

from typing import Any

from tests.races.connects import ConnectRace
from tests.races.consents import ConsentRace
from tests.races.race import Race
from tests.races.rotation import RotationRace
from tests.races.tokens import CodeRace, RefreshRace, RevocationRace

RACES: dict[str, type[Race[Any]]] = {
    race.name: race for race in (CodeRace, RefreshRace, RevocationRace, ConsentRace, RotationRace, ConnectRace)
}
