"""Code common to every HTTP API of the project."""
