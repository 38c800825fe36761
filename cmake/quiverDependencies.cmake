# Finds the headers that quiver includes: Boost (1.81 or newer), xsimd, cereal, xxHash. Used by quiver's own build and, installed beside
# quiverConfig.cmake, by every consumer; so it knows the target names of Debian's packages and of ConanCenter's.
# Sets quiver_dependency_targets, quiver_dependency_includes and quiver_dependency_missing (empty when all were found).

set(quiver_dependency_targets "")
set(quiver_dependency_includes "")
set(quiver_dependency_missing "")

# quiver_use_first(<name of the dependency> <target>...): takes the first target that exists.
macro(quiver_use_first _quiver_name)
  set(_quiver_found FALSE)
  foreach(_quiver_target ${ARGN})
    if(NOT _quiver_found AND TARGET ${_quiver_target})
      list(APPEND quiver_dependency_targets ${_quiver_target})
      set(_quiver_found TRUE)
    endif()
  endforeach()
  if(NOT _quiver_found)
    list(APPEND quiver_dependency_missing "${_quiver_name}")
  endif()
endmacro()

find_package(Threads QUIET)
quiver_use_first("threads" Threads::Threads)

# CMake 3.30 prefers that Boost's own config is asked for; it is what both sources of packages ship.
find_package(Boost 1.81 QUIET CONFIG)
if(NOT Boost_FOUND)
  find_package(Boost 1.81 QUIET MODULE)
endif()
quiver_use_first("Boost 1.81 or newer (libboost1.81-dev)" Boost::headers Boost::boost boost::boost)

find_package(xsimd QUIET CONFIG)
if(TARGET xsimd AND NOT TARGET xtl)
  # Debian's xsimd 8.1 links a target `xtl` that it does not define and whose headers it does not need.
  get_target_property(_quiver_links xsimd INTERFACE_LINK_LIBRARIES)
  if("xtl" IN_LIST _quiver_links)
    find_package(xtl QUIET CONFIG)
    if(NOT TARGET xtl)
      add_library(xtl INTERFACE IMPORTED)
    endif()
  endif()
endif()
quiver_use_first("xsimd 8.1 or newer (libxsimd-dev)" xsimd xsimd::xsimd)

find_package(cereal QUIET CONFIG)
quiver_use_first("cereal (libcereal-dev)" cereal::cereal cereal)

# Debian ships xxHash without a CMake config. quiver includes it inline and links no library.
find_package(xxHash QUIET CONFIG)
if(TARGET xxHash::xxhash)
  list(APPEND quiver_dependency_includes "$<TARGET_PROPERTY:xxHash::xxhash,INTERFACE_INCLUDE_DIRECTORIES>")
else()
  find_path(QUIVER_XXHASH_INCLUDE_DIR xxhash.h)
  mark_as_advanced(QUIVER_XXHASH_INCLUDE_DIR)
  if(NOT QUIVER_XXHASH_INCLUDE_DIR)
    list(APPEND quiver_dependency_missing "xxHash (libxxhash-dev)")
  elseif(NOT QUIVER_XXHASH_INCLUDE_DIR IN_LIST CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES)
    list(APPEND quiver_dependency_includes "${QUIVER_XXHASH_INCLUDE_DIR}")
  endif()
endif()

if(quiver_dependency_missing AND NOT CMAKE_FIND_PACKAGE_NAME STREQUAL "quiver")
  list(JOIN quiver_dependency_missing ", " _quiver_names)
  message(FATAL_ERROR "quiver needs headers that were not found: ${_quiver_names}. On Debian and Ubuntu: cmake/install_dependencies.sh")
endif()
