"""Approvals and grants: durable decisions of people about single calls."""
