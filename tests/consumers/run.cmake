# Builds and runs the consumer of one way of getting quiver, in an empty folder.
# usage: cmake -DWAY=find_package|add_subdirectory|wrong_version -DSOURCE= -DBUILD= -DFOLDER= -DGENERATOR= -DCOMPILER= -DLAUNCHER= -DVERSION= -P run.cmake

file(REMOVE_RECURSE "${FOLDER}")
set(common -G "${GENERATOR}" "-DCMAKE_CXX_COMPILER=${COMPILER}" "-DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}" -DCMAKE_BUILD_TYPE=Debug)

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\nfailed:\n${output}")
  endif()
endfunction()

if(WAY STREQUAL "add_subdirectory")
  run("${CMAKE_COMMAND}" -S "${SOURCE}/tests/consumers/add_subdirectory" -B "${FOLDER}/build" ${common} "-DQUIVER_FOLDER=${SOURCE}")
  run("${CMAKE_COMMAND}" --build "${FOLDER}/build")
  run("${FOLDER}/build/consumer")
  return()
endif()

# The installed prefix is moved before it is used: nothing in it may name the folder it was installed into.
run("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${FOLDER}/installed")
file(RENAME "${FOLDER}/installed" "${FOLDER}/prefix")
list(APPEND common "-DCMAKE_PREFIX_PATH=${FOLDER}/prefix" -S "${SOURCE}/tests/consumers/find_package")

if(WAY STREQUAL "find_package")
  run("${CMAKE_COMMAND}" ${common} -B "${FOLDER}/build" "-DWANTED_VERSION=${VERSION}")
  run("${CMAKE_COMMAND}" --build "${FOLDER}/build")
  run("${FOLDER}/build/consumer")
  return()
endif()

# Another major and another minor version are refused for that reason.
string(REGEX MATCH "^([0-9]+)\\.([0-9]+)" ignored "${VERSION}")
math(EXPR next_major "${CMAKE_MATCH_1} + 1")
math(EXPR next_minor "${CMAKE_MATCH_2} + 1")
foreach(wanted ${next_major}.0 ${CMAKE_MATCH_1}.${next_minor} ${CMAKE_MATCH_1}.0)
  execute_process(COMMAND "${CMAKE_COMMAND}" ${common} -B "${FOLDER}/${wanted}" "-DWANTED_VERSION=${wanted}" RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  string(REGEX REPLACE "[ \n]+" " " output "${output}")
  string(FIND "${output}" "compatible with requested version \"${wanted}\"" refused)
  if(result EQUAL 0 OR refused EQUAL -1)
    message(FATAL_ERROR "a consumer that asks for version ${wanted} was not refused for that reason:\n${output}")
  endif()
endforeach()
