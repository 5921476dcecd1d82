APPS = ["benchmarks.sides.floor"]
SETTINGS: dict[str, object] = {}
