"""The runtimes that execute an exported file on this machine, and the comparison of their codes."""
