# Install an executable that calls main() of a Python module.
#
# install_executable(<name> <module> [ON_PATH])
#
# It goes to lib/<package>, where `ros2 run` looks; with ON_PATH also to bin, so that it is a command
# wherever the workspace is sourced.
function(install_executable name module)
  cmake_parse_arguments(PARSE_ARGV 2 arg "ON_PATH" "" "")
  set(stub ${CMAKE_CURRENT_BINARY_DIR}/executables/${name})
  # A symlinked install points at the stub itself, so it must be executable where it is generated
  configure_file(
    ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/executable.in ${stub} @ONLY
    FILE_PERMISSIONS
      OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
  install(PROGRAMS ${stub} DESTINATION lib/${PROJECT_NAME})
  if(arg_ON_PATH)
    install(PROGRAMS ${stub} DESTINATION bin)
  endif()
endfunction()
