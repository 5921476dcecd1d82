"""PyPI Authlib's Django integration, with the models and views that its documentation shows: https://docs.authlib.org/

The documentation shows no guard against deactivated users and no digests; none was added.
"""
