"""Orders and their outcomes: approved exits are sent to the broker, and its books decide what became of them."""
