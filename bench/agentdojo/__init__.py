"""AgentDojo's user tasks and injections, replayed as calls against the default policy."""
