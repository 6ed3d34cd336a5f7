"""Which channels leave a network: groups that hang together, their scores, and the choice between them."""
