"""PyPI django-oauth-toolkit 3.4, as its documentation sets it up: https://django-oauth-toolkit.readthedocs.io/"""
