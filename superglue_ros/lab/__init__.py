"""The laboratory: training, evaluation, benchmark and demonstration. Nothing else imports it."""
