# What quiver's own programs (tests, examples, benchmarks, fuzz targets) share: warnings, sanitizers, instruction sets, ccache.

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
find_package(Threads REQUIRED)

find_program(QUIVER_CCACHE ccache)
mark_as_advanced(QUIVER_CCACHE)
if(QUIVER_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Precompiled headers are cached only with this much sloppiness.
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND};-E;env;CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime;${QUIVER_CCACHE}")
endif()

set(quiver_warnings -Wall -Wextra -Wconversion -Wshadow -Werror)

set(quiver_simd_options "")
if(NOT QUIVER_SIMD STREQUAL "baseline" AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  include(CheckCXXSourceRuns)
  # Named one by one: behind a hypervisor -march=native may pick a processor model that lacks what the machine has.
  check_cxx_source_runs("int main() { return __builtin_cpu_supports(\"avx2\") && __builtin_cpu_supports(\"fma\") ? 0 : 1; }" QUIVER_CPU_HAS_AVX2)
  if(QUIVER_CPU_HAS_AVX2)
    list(APPEND quiver_simd_options -mavx2 -mfma)
    if(QUIVER_SIMD STREQUAL "native")
      check_cxx_source_runs("int main() { return __builtin_cpu_supports(\"avx512f\") && __builtin_cpu_supports(\"avx512cd\") && __builtin_cpu_supports(\"avx512dq\")
                             && __builtin_cpu_supports(\"avx512bw\") && __builtin_cpu_supports(\"avx512vl\") ? 0 : 1; }" QUIVER_CPU_HAS_AVX512)
      if(QUIVER_CPU_HAS_AVX512)
        list(APPEND quiver_simd_options -mavx512f -mavx512cd -mavx512dq -mavx512bw -mavx512vl)
        check_cxx_source_runs("int main() { return __builtin_cpu_supports(\"avx512vnni\") ? 0 : 1; }" QUIVER_CPU_HAS_AVX512_VNNI)
        if(QUIVER_CPU_HAS_AVX512_VNNI)
          list(APPEND quiver_simd_options -mavx512vnni)
        endif()
        # g++ 12 takes its own intrinsics for uninitialized, in the middle of xxHash (GCC bug 105593).
        if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
          list(APPEND quiver_warnings -Wno-uninitialized -Wno-maybe-uninitialized)
        endif()
      endif()
    endif()
  endif()
endif()

set(quiver_sanitize_options "")
if(QUIVER_SANITIZE STREQUAL "address")
  set(quiver_sanitize_options -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
elseif(QUIVER_SANITIZE STREQUAL "thread")
  set(quiver_sanitize_options -fsanitize=thread -fno-omit-frame-pointer)
elseif(QUIVER_SANITIZE)
  message(FATAL_ERROR "QUIVER_SANITIZE is '${QUIVER_SANITIZE}': use address, thread or nothing")
endif()

add_library(quiver_program INTERFACE)
target_link_libraries(quiver_program INTERFACE quiver::quiver)
# A target with the property QUIVER_BASELINE runs on every processor of its kind.
target_compile_options(quiver_program INTERFACE ${quiver_warnings} ${quiver_sanitize_options}
                       "$<$<NOT:$<BOOL:$<TARGET_PROPERTY:QUIVER_BASELINE>>>:${quiver_simd_options}>")
target_link_options(quiver_program INTERFACE ${quiver_sanitize_options})
