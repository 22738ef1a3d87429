"""Process console: the operators' web pages; it talks only to the HTTP APIs, with the operator's token."""
