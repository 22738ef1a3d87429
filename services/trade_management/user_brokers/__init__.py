"""A trade's possible accounts, read from operations.controls.v1."""
