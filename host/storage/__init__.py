"""PostgreSQL as the only store: the embedded server, connections, tables, migrations, backups.

Nothing is imported here, because the watcher process imports this package and must stay small.
"""
