"""Every race, by its name."""

from __future__ import annotations

from typing import Any

from tests.served.races.connects import ConnectRace
from tests.served.races.consents import ConsentRace
from tests.served.races.race import Race
from tests.served.races.rotation import RotationRace
from tests.served.races.tokens import CodeRace, RefreshRace, RevocationRace

RACES: dict[str, type[Race[Any]]] = {
    race.name: race for race in (CodeRace, RefreshRace, RevocationRace, ConsentRace, RotationRace, ConnectRace)
}
