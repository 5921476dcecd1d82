from django.apps import AppConfig


class AuthlibSide(AppConfig):
    name = "benchmarks.sides.authlib"
    label = "authlib_site"
