"""`make demo`: a whole market on an embedded stack."""
