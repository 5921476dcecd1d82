"""The protocol's endpoints: without trailing slash, and accepted with one, as clients do not follow redirects."""

from django.urls import re_path

from .views.authorize import authorize
from .views.token import token

urlpatterns = [
    re_path(r"^oauth/authorize/?$", authorize, name="authorize"),
    re_path(r"^oauth/token/?$", token, name="token"),
]
