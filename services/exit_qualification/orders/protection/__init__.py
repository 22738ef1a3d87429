"""Protective stops held by brokers, kept in step with the plans of open trades."""
