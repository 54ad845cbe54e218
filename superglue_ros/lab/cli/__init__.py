"""The laboratory's subcommands of `superglue-ros`: one file each."""
