"""What viewers are told to show, made from the names of topics and frames."""
