# The row loop through a zero-copy backend is the row loop over a plain array: callgrind counts the instructions of one scan under each, which must agree
# within 1 %. Exists for a call, a copy or a check per row that slips in between an index and its bytes.
# usage: cmake -DVALGRIND=<program> -DPROGRAM=<row_loop> -DFOLDER=<folder for files> -P compare_row_loops.cmake

if(NOT VALGRIND)
  message("skipped: valgrind is not installed")
  return()
endif()
file(MAKE_DIRECTORY "${FOLDER}")
foreach(backend raw mmap memory)
  execute_process(COMMAND "${VALGRIND}" --tool=callgrind "--callgrind-out-file=${FOLDER}/${backend}.out" "--toggle-collect=*counted_scan*"
                          "${PROGRAM}" ${backend} "${FOLDER}/store"
                  RESULT_VARIABLE result OUTPUT_VARIABLE answer_${backend} ERROR_VARIABLE errors)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${backend}: ${result}\n${errors}")
  endif()
  string(REGEX MATCH "Collected : ([0-9]+)" ignored "${errors}")
  set(count_${backend} "${CMAKE_MATCH_1}")
  message("${backend}: ${count_${backend}} instructions")
  if(NOT count_${backend} GREATER 100000)
    message(FATAL_ERROR "that is no scan:\n${errors}")
  endif()
  if(NOT answer_${backend} STREQUAL answer_raw OR answer_raw STREQUAL "")
    message(FATAL_ERROR "another answer than over the plain array:\n${answer_${backend}}\ninstead of\n${answer_raw}")
  endif()
  math(EXPR most "${count_raw} + ${count_raw} / 100")
  if(count_${backend} GREATER most)
    message(FATAL_ERROR "under ${backend} the loop takes ${count_${backend}} instructions, more than 1 % over the ${count_raw} of the plain array")
  endif()
endforeach()
