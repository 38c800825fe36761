# The kernels once for each instruction set of this kind of processor, as the static library quiver::dispatch: who links it gets QUIVER_RUNTIME_DISPATCH and
# with it the best set that the machine has. quiver::quiver links it where the option QUIVER_RUNTIME_DISPATCH is on; quiver's own tests and benchmarks have it in any case.

add_library(quiver_dispatch STATIC)
add_library(quiver::dispatch ALIAS quiver_dispatch)
set_target_properties(quiver_dispatch PROPERTIES EXPORT_NAME dispatch LINKER_LANGUAGE CXX)
target_compile_definitions(quiver_dispatch INTERFACE QUIVER_RUNTIME_DISPATCH=1)
if(NOT QUIVER_RUNTIME_DISPATCH)
  set_target_properties(quiver_dispatch PROPERTIES EXCLUDE_FROM_ALL ON)
endif()

# Optimised in every build type: what is inlined is not emitted for others to take. Link-time optimisation would hide what is emitted; sanitizers and counters add
# to it.
set(quiver_unit_options -O3 -fno-exceptions -fno-lto -fno-sanitize=all)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  list(APPEND quiver_unit_options -fno-profile-instr-generate -fno-coverage-mapping)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # g++ 12 takes its own intrinsics for uninitialized (GCC bug 105593).
  list(APPEND quiver_unit_options -Wno-uninitialized -Wno-maybe-uninitialized)
endif()

# quiver_unit(<set> <name of its architecture in dispatch_unit.cpp> [flag...])
function(quiver_unit set architecture)
  string(TOUPPER ${set} macro)
  add_library(quiver_unit_${set} OBJECT EXCLUDE_FROM_ALL "${PROJECT_SOURCE_DIR}/include/quiver/distance/dispatch_unit.cpp")
  target_compile_features(quiver_unit_${set} PRIVATE cxx_std_20)
  target_compile_definitions(quiver_unit_${set} PRIVATE QUIVER_UNIT_${macro})
  target_compile_options(quiver_unit_${set} PRIVATE ${quiver_warnings} ${quiver_unit_options} ${ARGN})
  target_include_directories(quiver_unit_${set} PRIVATE "${PROJECT_SOURCE_DIR}/include")
  target_include_directories(quiver_unit_${set} SYSTEM PRIVATE ${quiver_dependency_includes})
  target_link_libraries(quiver_unit_${set} PRIVATE ${quiver_dependency_targets})
  set_target_properties(quiver_unit_${set} PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_EXTENSIONS OFF)
  target_sources(quiver_dispatch PRIVATE $<TARGET_OBJECTS:quiver_unit_${set}>)
  add_custom_command(TARGET quiver_dispatch PRE_LINK VERBATIM
                     COMMAND "${CMAKE_COMMAND}" "-DNM=${CMAKE_NM}" -DARCHITECTURE=${architecture} -DOBJECT=$<TARGET_OBJECTS:quiver_unit_${set}>
                             -P "${PROJECT_SOURCE_DIR}/cmake/check_unit_symbols.cmake")
endfunction()

quiver_unit(baseline BaselineUnit)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(quiver_avx2 -mavx2 -mfma -mf16c)
  set(quiver_avx512 ${quiver_avx2} -mavx512f -mavx512cd -mavx512dq -mavx512bw -mavx512vl)
  quiver_unit(avx2 Avx2Unit ${quiver_avx2})
  quiver_unit(avx512 Avx512Unit ${quiver_avx512})
  quiver_unit(avx512_vnni Avx512VnniUnit ${quiver_avx512} -mavx512vnni)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  quiver_unit(neon NeonUnit)
endif()
