"""What the host costs between a client and a tool server, beside a direct call and a proxy."""
