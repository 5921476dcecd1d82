"""Orders of prints, with django-ninja, which describes them at ``/api/orders/openapi.json``."""

from __future__ import annotations

from django.http import HttpRequest
from ninja import NinjaAPI, Schema

from django_pkce_auth.resource.ninja import BearerAuth, secure

from .photos import album_of

api = secure(NinjaAPI(title="Orders", urls_namespace="orders", docs_url=None))


class Order(Schema):
    photo: str
    copies: int


@api.get("/", auth=BearerAuth("photos"), response=list[Order])
def list_orders(request: HttpRequest) -> list[Order]:
    """What the token's user ordered."""
    return [Order(photo=photo.name, copies=1) for photo in album_of(request.user.get_username())[:2]]


@api.get("/latest", auth=BearerAuth("photos"), response=Order)
async def latest_order(request: HttpRequest) -> Order:
    """The same from an async operation."""
    owner = await request.auser()
    return Order(photo=album_of(owner.get_username())[0].name, copies=1)
