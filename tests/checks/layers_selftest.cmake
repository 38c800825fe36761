# Plants violations, each in a tree of its own, and demands that LAYERS reports them in these words and that a clean tree passes.
# usage: cmake -DLAYERS=<program> -DFOLDER=<scratch folder> -P layers_selftest.cmake

function(expect status sentence)
  execute_process(COMMAND "${LAYERS}" "${FOLDER}" RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  string(FIND "${output}" "${sentence}" found)
  if(NOT result EQUAL status OR found EQUAL -1)
    message(FATAL_ERROR "expected status ${status} and '${sentence}', got status ${result} and:\n${output}")
  endif()
endfunction()

function(clean_tree)
  file(REMOVE_RECURSE "${FOLDER}")
  file(WRITE "${FOLDER}/README.md" "
    core/     <-               errors
    storage/  <- core          policies
    wal/      <- core storage  log

    fancy/    only in wal
")
  file(WRITE "${FOLDER}/quiver.hpp" "// umbrella\n#pragma once\n#include <quiver/wal/writer.hpp>\n")
  file(WRITE "${FOLDER}/core/error.hpp" "#pragma once\nint error();\n")
  file(WRITE "${FOLDER}/storage/mmap.hpp" "#pragma once\n#include <quiver/core/error.hpp>\nint map();\n")
  file(WRITE "${FOLDER}/wal/writer.hpp" "#pragma once\n#include <quiver/storage/mmap.hpp>\n#include <fancy/log.hpp>\nint write();\n")
endfunction()

clean_tree()
expect(0 "4 headers, 3 rooms, 0 violations")

file(APPEND "${FOLDER}/storage/mmap.hpp" "#include <quiver/wal/writer.hpp>\n")
expect(1 "storage/mmap.hpp: storage may not include quiver/wal/writer.hpp")

clean_tree()
file(APPEND "${FOLDER}/core/error.hpp" "#include <fancy/log.hpp>\n")
expect(1 "core/error.hpp: core may not include fancy/log.hpp")

clean_tree()
file(APPEND "${FOLDER}/quiver.hpp" "#include <fancy/log.hpp>\n")
expect(1 "quiver.hpp: an umbrella may not include fancy/log.hpp")

clean_tree()
file(APPEND "${FOLDER}/quiver.hpp" "int code();\n")
expect(1 "quiver.hpp: an umbrella holds includes only")

clean_tree()
file(WRITE "${FOLDER}/storage/a.hpp" "#include <quiver/storage/b.hpp>\n")
file(WRITE "${FOLDER}/storage/b.hpp" "#  include <quiver/storage/a.hpp>\n")
expect(1 "includes itself: storage/a.hpp -> storage/b.hpp -> storage/a.hpp")

clean_tree()
file(APPEND "${FOLDER}/storage/mmap.hpp" "#include \"../core/error.hpp\"\n")
expect(1 "storage/mmap.hpp: \"../core/error.hpp\" should be included as <quiver/...>")

clean_tree()
file(APPEND "${FOLDER}/storage/mmap.hpp" "#include <quiver/core/gone.hpp>\n")
expect(1 "storage/mmap.hpp: includes quiver/core/gone.hpp, which does not exist")

clean_tree()
file(WRITE "${FOLDER}/attic/old.hpp" "int old();\n")
expect(1 "attic/old.hpp: the table in README.md does not name attic")

clean_tree()
string(REPEAT "int line();\n" 501 long)
file(WRITE "${FOLDER}/core/long.hpp" "${long}")
expect(1 "core/long.hpp: 501 lines, 500 at most")

clean_tree()
file(APPEND "${FOLDER}/README.md" "    block/    <- core ids      blocks\n")
expect(1 "README.md: block may include ids, which the table does not name")
expect(1 "README.md: names block/, which does not exist")

file(REMOVE_RECURSE "${FOLDER}")
