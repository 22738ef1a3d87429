"""Trade management on real servers."""
