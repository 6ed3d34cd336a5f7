"""What every stage trains, runs and keeps networks with."""
