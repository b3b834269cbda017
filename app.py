"""Create the app and serve it: `python app.py`, which is what `make run` does."""

from painchain.cli.main import main

if __name__ == "__main__":
    main(["serve"])
