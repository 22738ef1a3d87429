"""What an exit is and when it may happen: pure, the same input always gives the same result."""
