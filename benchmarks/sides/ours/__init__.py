"""django_pkce_auth as its README sets it up."""
