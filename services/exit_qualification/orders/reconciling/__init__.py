"""Outcomes of orders according to the broker's books, and fills of foreign orders."""
