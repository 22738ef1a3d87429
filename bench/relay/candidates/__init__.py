"""One file a candidate: its schema, its inserts, its programs."""
