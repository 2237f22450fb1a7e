"""The second wall: a zygote that forks one confined process for each plugin and tenant."""
