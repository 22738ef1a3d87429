"""Pure domain of exits: the same input always gives the same result."""
