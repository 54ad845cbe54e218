"""What the laboratory does with the nodes: it alone imports rclpy here."""
