"""Version of the project; `pyproject.toml` takes it from here, and the image has no other record of it."""

VERSION = "0.1.0"
