"""`hub`: the command line. One module for each group of commands; `main` turns errors into messages and exit codes."""
