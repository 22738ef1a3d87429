"""What a replay compares with and writes."""
