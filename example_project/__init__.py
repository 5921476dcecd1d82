"""One project, two sites: an authorization server, and the app that connects to it. See ``demo.py``."""
