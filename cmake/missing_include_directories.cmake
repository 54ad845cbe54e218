# Take include directories that do not exist off the imported targets of the message packages.
#
# Where ROS 2 comes as Python wheels, the Python targets of its message packages name the Python
# headers of the machine they were built on, at which CMake stops. Nothing here includes anything
# through them. On an installed ROS 2 every directory exists and nothing is changed.
function(drop_missing_include_directories)
  get_property(targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  list(FILTER targets INCLUDE REGEX "__rosidl_generator_py$")
  foreach(target IN LISTS targets)
    get_target_property(directories ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(directories)
      foreach(directory IN LISTS directories)
        if(IS_ABSOLUTE "${directory}" AND NOT EXISTS "${directory}")
          list(REMOVE_ITEM directories "${directory}")
        endif()
      endforeach()
      set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${directories}")
    endif()
  endforeach()
endfunction()
