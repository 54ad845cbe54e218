# Take those include directories off the Python targets of message packages at which CMake stops.
#
# - Of imported targets, directories that do not exist. Where ROS 2 comes as Python wheels, they name
#   the Python headers of the machine they were built on; nothing includes anything through them.
# - Of our own target, directories inside the source tree, which must not be exported: NumPy's, where
#   a virtual environment lies in the source tree.
#
# Where ROS 2 is installed and no virtual environment is in the source tree, nothing is changed.
function(tidy_python_include_directories)
  get_property(targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  list(APPEND targets ${PROJECT_NAME}__rosidl_generator_py)
  list(FILTER targets INCLUDE REGEX "__rosidl_generator_py$")
  foreach(target IN LISTS targets)
    get_target_property(directories ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(NOT directories)
      continue()
    endif()
    foreach(directory IN LISTS directories)
      cmake_path(IS_PREFIX PROJECT_SOURCE_DIR "${directory}" NORMALIZE in_source_tree)
      if(in_source_tree OR (IS_ABSOLUTE "${directory}" AND NOT EXISTS "${directory}"))
        list(REMOVE_ITEM directories "${directory}")
      endif()
    endforeach()
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${directories}")
  endforeach()
endfunction()
