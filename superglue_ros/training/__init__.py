"""Training of our own weights from free photographs; see `superglue-ros train --help`."""
