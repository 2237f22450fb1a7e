"""A lean HTTP/1.1 client for the data path towards upstream servers."""
