"""`python -m edgekd` is the command line; `torchrun -m edgekd build ...` trains in many processes."""

from edgekd.cli import main

main()
