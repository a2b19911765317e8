"""One module per verb: the only room where files meet mathematics."""
