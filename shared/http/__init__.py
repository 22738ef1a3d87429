"""What every HTTP surface of the project has in common."""
