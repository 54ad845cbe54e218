"""Training images made on the device: views, light and noise, depth, drawn shapes."""
