"""`python -m arkwright`: the command, where its script is not on the path."""

from arkwright.cli.main import main

if __name__ == "__main__":
    main()
