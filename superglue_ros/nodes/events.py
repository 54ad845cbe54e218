"""Events of subscriptions and publishers: none are asked for.

What rclpy's own would tell, `TopicInput.problem` tells of inputs, and their readers of outputs. An
event that comes while its subscription or publisher is being destroyed can end the process (rclpy
9.1.2, `EventsExecutor`), and each is one thing more that `SingleThreadedExecutor` looks through.
"""

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

NO_SUBSCRIPTION_EVENTS = SubscriptionEventCallbacks(use_default_callbacks=False)
NO_PUBLISHER_EVENTS = PublisherEventCallbacks(use_default_callbacks=False)
