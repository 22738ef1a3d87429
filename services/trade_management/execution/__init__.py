"""Execution of exits under trade management, where EXITFLOW_EXECUTION says so."""
