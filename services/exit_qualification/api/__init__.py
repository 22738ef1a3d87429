"""exit-api: what operators and other teams see of exits, and what operators may do to them."""
