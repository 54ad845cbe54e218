"""The `superglue-ros` command, one file a subcommand."""
