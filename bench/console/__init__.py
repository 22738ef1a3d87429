"""Time to the first paint of the console's pages, with many pending exits."""
