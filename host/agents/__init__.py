"""Agents: a model with instructions, tools, memory and limits, and the loop that runs one."""
