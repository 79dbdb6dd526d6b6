"""The command line: argv -> session -> renderer -> exit status. One file a command."""
