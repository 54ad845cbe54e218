"""SuperPoint features and SuperGlue matches for ROS 2, and the same without ROS.

Where the source tree comes before an installation on the path, its package is joined with the
installed one, which holds the generated ``msg``. Nothing else belongs here: the message generator
installs an empty file of this name, and which of the two is kept depends on the ROS distribution.
"""

import pkgutil

__path__ = pkgutil.extend_path(__path__, __name__)
