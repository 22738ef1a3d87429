"""Tools of the Model Context Protocol on the HTTP APIs of a running system."""
