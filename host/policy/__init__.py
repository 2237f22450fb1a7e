"""Which calls may be made: rules from YAML, facts about a call, and the decision they lead to."""
