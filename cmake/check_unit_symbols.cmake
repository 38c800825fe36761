# Fails where the object of a unit defines a symbol that another object may define too, and whose name does not tell whose it is. The linker keeps one of several,
# perhaps that of the unit for the newest processor, for the whole program, which then dies of an illegal instruction on every older one.
# usage: cmake -DNM=<nm> -DARCHITECTURE=<name of the unit's architecture> -DOBJECT=<file> -P check_unit_symbols.cmake

execute_process(COMMAND "${NM}" --defined-only "${OBJECT}" RESULT_VARIABLE result OUTPUT_VARIABLE symbols ERROR_VARIABLE problem)
if(NOT result EQUAL 0 OR NOT symbols MATCHES "_set[^\n]*\n")
  message(FATAL_ERROR "${NM} shows no table of kernels in ${OBJECT}: ${problem}")
endif()
string(LENGTH "${ARCHITECTURE}" length)
string(REPLACE "\n" ";" symbols "${symbols}")
set(own 0)
set(shared "")
foreach(symbol IN LISTS symbols)
  # W, w, V, v: weak; u: unique in the process; i: chosen while it is loaded.
  if(NOT symbol MATCHES "^[0-9a-fA-F]* *([WwVvui]) (.*)$")
    continue()
  endif()
  set(name "${CMAKE_MATCH_2}")
  if(name MATCHES "${length}${ARCHITECTURE}")
    math(EXPR own "${own} + 1")
  else()
    list(APPEND shared "${name}")
  endif()
endforeach()
if(shared)
  list(JOIN shared "\n  " shared)
  message(FATAL_ERROR "${OBJECT} defines what other units may take from it, and without ${ARCHITECTURE} in its name:\n  ${shared}\n"
                      "Make it a template on the architecture, or inline it always.")
endif()
if(own EQUAL 0)
  message(FATAL_ERROR "${OBJECT} has no symbol with ${ARCHITECTURE} in its name: is that what its architecture is called?")
endif()
