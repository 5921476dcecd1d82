"""Another app of a project, which extends ours: its model is the one of docs/extend.md, word for word."""
