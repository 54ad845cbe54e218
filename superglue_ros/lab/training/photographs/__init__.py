"""Free photographs from Debian packages, as archives of grey crops to learn from."""
