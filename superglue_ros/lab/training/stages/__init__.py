"""The four stages of training, each to be stopped and resumed."""
