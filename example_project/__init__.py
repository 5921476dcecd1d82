"""One project, three sites: an authorization server, an app that connects to it, another API. See ``demo.py``."""
