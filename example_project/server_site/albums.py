"""The albums, with Django REST framework; drf-spectacular describes them at ``/api/schema``."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import CharField, DateField, Serializer
from rest_framework.viewsets import ViewSet

from django_pkce_auth.resource.drf import BearerAuthentication, HasScopes

from .photos import album_of


class PhotoSerializer(Serializer[object]):
    name = CharField()
    title = CharField()
    taken_on = DateField()


class AlbumSerializer(Serializer[object]):
    owner = CharField()
    photos = PhotoSerializer(many=True)


class AlbumViewSet(ViewSet):
    authentication_classes = [BearerAuthentication]
    permission_classes = [HasScopes]
    required_scopes = {"list": ["photos"], "mine": ["profile", "photos"]}

    @extend_schema(responses=PhotoSerializer(many=True))
    def list(self, request: Request) -> Response:
        """Every photo in the album of the token's user."""
        return Response(PhotoSerializer(album_of(request.user.get_username()), many=True).data)

    @extend_schema(responses=AlbumSerializer)
    def mine(self, request: Request) -> Response:
        """The album, and whose it is."""
        owner = request.user.get_username()
        return Response(AlbumSerializer({"owner": owner, "photos": album_of(owner)}).data)
