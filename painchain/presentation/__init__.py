"""An event in words, for the web and the command line."""
