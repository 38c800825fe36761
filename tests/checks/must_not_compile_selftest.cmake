# The check of must-not-compile programs is checked: one that is right, one that compiles, one whose message differs, one that is broken anyway.
# usage: cmake -DCOMPILER=<path> -DFOLDER=<scratch folder> -DSCRIPT=<must_not_compile.cmake> -P must_not_compile_selftest.cmake

function(expect passes sentence text)
  file(WRITE "${FOLDER}/twin.cpp" "${text}")
  execute_process(COMMAND "${CMAKE_COMMAND}" "-DCOMPILER=${COMPILER}" "-DFLAGS=-std=c++20;-fsyntax-only" "-DFILE=${FOLDER}/twin.cpp" -P "${SCRIPT}"
                  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  string(REGEX REPLACE "[ \n]+" " " output "${output}")
  string(FIND "${output}" "${sentence}" found)
  if((passes AND NOT result EQUAL 0) OR (NOT passes AND (result EQUAL 0 OR found EQUAL -1)))
    message(FATAL_ERROR "for\n${text}\nexpected '${sentence}', got status ${result} and\n${output}")
  endif()
endfunction()

set(refusal "template <class T> void f() { static_assert(sizeof(T) > 1, \"too small to hold\"); }\n")
expect(TRUE "" "// expect: too small to hold\n${refusal}int main() {\n#ifdef MUST_FAIL\n  f<char>();\n#endif\n}\n")
expect(TRUE "" "// expect 1: too small to hold\n// expect 2: nonsense\n${refusal}int main() {\n#if MUST_FAIL == 1\n  f<char>();\n#elif MUST_FAIL == 2\n  nonsense();\n#endif\n}\n")
expect(FALSE "compiles, and must not" "// expect: too small to hold\n${refusal}int main() {\n#ifdef MUST_FAIL\n  f<int>();\n#endif\n}\n")
expect(FALSE "does not say 'too large'" "// expect: too large\n${refusal}int main() {\n#ifdef MUST_FAIL\n  f<char>();\n#endif\n}\n")
expect(FALSE "has to compile" "// expect: too small to hold\n${refusal}int main() { f<char>(); }\n")
expect(FALSE "has no line" "int main() {}\n")
file(REMOVE_RECURSE "${FOLDER}")
