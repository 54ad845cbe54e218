"""Life cycle transitions that say why they fail."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn

from superglue_ros.errors import DeviceError, InputError
from superglue_ros.installation import missing_package

Transition = Callable[[Any, LifecycleState], TransitionCallbackReturn]


def logged(transition: Transition) -> Transition:
    """Log what a transition raises; rclpy would take it for a failure without a word.

    The node's `failure` is that of the last one, in one line; empty where it succeeded.
    """

    @functools.wraps(transition)
    def wrapped(node: Any, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            result = transition(node, state)
            node.failure = ""
            return result
        except (InputError, DeviceError) as error:
            node.failure = str(error)
            node.get_logger().fatal(node.failure)
            return TransitionCallbackReturn.FAILURE
        except ModuleNotFoundError as error:
            node.failure = str(missing_package(error))
            node.get_logger().fatal(node.failure)
            return TransitionCallbackReturn.FAILURE
        except Exception as error:
            node.failure = repr(error)
            node.get_logger().fatal(traceback.format_exc())
            return TransitionCallbackReturn.ERROR

    return wrapped
