"""The life of tokens as the RFCs and our documentation tell it, small enough to be read and believed.

Nothing here knows the app: it holds what was handed out, and says what a request must be answered and what works.
Times are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

CODE, ACCESS, REFRESH, DEVICE, AUTHORIZATION = 60, 3600, 30 * 86400, 600, 40 * 86400
CODES_KEPT_FOR = 86400
RETRY_WINDOW, RETRIES, SIMULTANEOUS = 30, 3, 2
SLIDE = 86400
SCOPES = frozenset(["read", "write", "profile"])
INTERVAL, TOLERANCE, SLOWER = 5, 0.5, 5


@dataclass(eq=False)
class Person:
    name: str
    active: bool = True


@dataclass(eq=False)
class App:
    name: str
    confidential: bool = True
    rotates: bool = True
    disabled: bool = False
    scopes: frozenset[str] = SCOPES


@dataclass(eq=False)
class Family:
    app: App
    person: Person
    scopes: frozenset[str]
    ends: float
    ended: bool = False

    def lives(self, now: float) -> bool:
        return not self.ended and now < self.ends and self.person.active and not self.app.disabled


@dataclass(eq=False)
class Code:
    raw: str
    app: App
    person: Person
    scopes: frozenset[str]
    expires: float
    family: Family | None = None
    gone: bool = False


@dataclass(eq=False)
class Device:
    raw: str
    user_code: str
    app: App
    scopes: frozenset[str]
    expires: float
    interval: int = INTERVAL
    polled: float | None = None
    person: Person | None = None
    answer: str = ""
    redeemed: bool = False
    gone: bool = False


@dataclass(eq=False)
class Access:
    raw: str
    family: Family
    scopes: frozenset[str]
    expires: float

    def works(self, now: float) -> bool:
        return now < self.expires and self.family.lives(now)


@dataclass(eq=False)
class Refresh:
    raw: str
    family: Family
    generation: int
    expires: float
    superseded: float | None = None
    retries: int = 0
    gone: bool = False

    def works(self, now: float) -> bool:
        return not self.gone and self.superseded is None and now < self.expires and self.family.lives(now)


@dataclass
class Truth:
    now: float = 0
    codes: list[Code] = field(default_factory=list)
    devices: list[Device] = field(default_factory=list)
    access: list[Access] = field(default_factory=list)
    refresh: list[Refresh] = field(default_factory=list)
    families: list[Family] = field(default_factory=list)
    consents: dict[tuple[Person, App], frozenset[str]] = field(default_factory=dict)

    # What the person does.

    def allow(self, person: Person, app: App, scopes: frozenset[str]) -> None:
        self.consents[person, app] = self.consents.get((person, app), frozenset()) | scopes

    def withdraw(self, person: Person, app: App) -> bool:
        for family in self.families:
            family.ended |= (family.person, family.app) == (person, app)
        for pending in (*self.codes, *self.devices):
            unredeemed = not pending.redeemed if isinstance(pending, Device) else pending.family is None
            pending.gone |= unredeemed and (pending.person, pending.app) == (person, app)
        return self.consents.pop((person, app), None) is not None

    # What the program asks: "" where it must get tokens, else the error.

    def redeem(self, code: Code, app: App, *, proves: bool) -> str:
        if app.disabled:
            return "invalid_client"
        if code.gone or code.app is not app or not proves:
            return "invalid_grant"
        if code.family is not None:
            code.family.ended = True  # a replay: whoever holds the tokens is not who holds the code
            return "invalid_grant"
        alive = self.now < code.expires and code.person.active
        return "" if alive and code.scopes & app.scopes else "invalid_grant"

    def poll(self, device: Device, app: App) -> str:
        if app.disabled:
            return "invalid_client"
        if device.gone or device.app is not app or device.redeemed:
            return "invalid_grant"
        if device.answer == "deny":
            return "access_denied"
        if self.now >= device.expires:
            return "expired_token"
        if not device.answer:
            early = device.polled is not None and self.now < device.polled + device.interval - TOLERANCE
            device.polled = self.now
            device.interval += SLOWER if early else 0
            return "slow_down" if early else "authorization_pending"
        if device.person is None or not device.person.active:
            return "access_denied"
        return "" if device.scopes & app.scopes else "invalid_grant"

    def renew(self, token: Refresh, app: App, scopes: frozenset[str]) -> str:
        family = token.family
        if app.disabled:
            return "invalid_client"
        if token.gone or family.app is not app or not family.lives(self.now) or self.now >= token.expires:
            return "invalid_grant"
        left = family.scopes & app.scopes
        if not left:
            return "invalid_grant"
        if scopes and not (scopes <= family.scopes and scopes & left):
            return "invalid_scope"
        if token.superseded is None and app.confidential and not app.rotates:
            end = min(self.now + REFRESH, family.ends)
            token.expires = end if end - token.expires > SLIDE else token.expires
            return ""
        kin = [other for other in self.refresh if other.family is family and not other.gone]
        rivals = [other for other in kin if other.generation == token.generation and other is not token]
        heirs = [other for other in kin if other.generation == token.generation + 1]
        if token.superseded is None:
            used = [rival.superseded for rival in rivals if rival.superseded is not None]
            return self._reused(family, used) if used else self._supersede(token)
        if any(heir.superseded is not None for heir in heirs):
            return self._reused(family, [])
        if self.now < token.superseded + RETRY_WINDOW and token.retries < RETRIES:
            token.retries += 1
            return ""
        return self._reused(family, [token.superseded])

    def _supersede(self, token: Refresh) -> str:
        token.superseded = self.now
        return ""

    def _reused(self, family: Family, since: list[float]) -> str:
        """One token in two hands ends the family, but for a client's own race of the last moment."""
        simultaneous = any(self.now - moment <= SIMULTANEOUS for moment in since)
        family.ended |= not simultaneous
        return "invalid_grant"

    def revoke(self, token: Access | Refresh, app: App) -> str:
        if app.disabled:
            return "invalid_client"
        gone = token.gone if isinstance(token, Refresh) else token not in self.access
        if gone:
            return ""
        if token.family.app is not app:
            return "unauthorized_client"
        token.family.ended = True
        return ""

    # What came of it.

    def issue(self, family: Family, raw: str, scopes: frozenset[str]) -> Access:
        token = Access(raw, family, scopes, min(self.now + ACCESS, family.ends))
        self.access.append(token)
        return token

    def issue_refresh(self, family: Family, raw: str, generation: int) -> Refresh:
        token = Refresh(raw, family, generation, min(self.now + REFRESH, family.ends))
        self.refresh.append(token)
        return token

    def begin(self, app: App, person: Person, scopes: frozenset[str]) -> Family:
        family = Family(app, person, scopes, self.now + AUTHORIZATION)
        self.families.append(family)
        return family

    def purge(self) -> None:
        self.access = [token for token in self.access if self.now < token.expires]
        for token in self.refresh:
            token.gone |= self.now >= token.expires
        for pending in (*self.codes, *self.devices):
            pending.gone |= self.now >= pending.expires + CODES_KEPT_FOR
