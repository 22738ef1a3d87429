"""exit-api: exits as operators and other teams see them, and the operators' controls."""
