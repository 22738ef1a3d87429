"""All SQL of exit qualification. Each repository works in the transaction of the connection it is given."""
