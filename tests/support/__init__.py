"""What tests share: small networks and data, faults, random graphs, and how files are held to the reference."""
