"""The memory server: a thin face of `host.memory` that agents and chat clients call."""
