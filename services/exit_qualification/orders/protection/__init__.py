"""Protective stops that brokers hold, kept in step with the plans of open trades."""
