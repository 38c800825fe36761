# Compiles FILE as it is (must succeed), then once for each of its lines
#     // expect: <words that the compiler must say>            with -DMUST_FAIL=1
#     // expect 2: <words>                                     with -DMUST_FAIL=2, and so on
# (must fail, saying those words). So a mistake elsewhere in the file is not taken for the refusal that is meant.
# usage: cmake -DCOMPILER=<path> -DFLAGS=<list> -DFILE=<path> -P must_not_compile.cmake

execute_process(COMMAND "${COMPILER}" ${FLAGS} "${FILE}" RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "without MUST_FAIL this file has to compile:\n${output}")
endif()

file(STRINGS "${FILE}" lines REGEX "^// expect( [0-9]+)?: .")
if(NOT lines)
  message(FATAL_ERROR "${FILE} has no line '// expect: <words of the compiler>'")
endif()
foreach(line IN LISTS lines)
  string(REGEX MATCH "^// expect ?([0-9]*): (.*)$" ignored "${line}")
  set(number "${CMAKE_MATCH_1}")
  set(words "${CMAKE_MATCH_2}")
  if(number STREQUAL "")
    set(number 1)
  endif()
  execute_process(COMMAND "${COMPILER}" ${FLAGS} -DMUST_FAIL=${number} "${FILE}" RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(result EQUAL 0)
    message(FATAL_ERROR "with -DMUST_FAIL=${number} this file compiles, and must not")
  endif()
  string(FIND "${output}" "${words}" found)
  if(found EQUAL -1)
    message(FATAL_ERROR "with -DMUST_FAIL=${number} the compiler does not say '${words}' but:\n${output}")
  endif()
endforeach()
