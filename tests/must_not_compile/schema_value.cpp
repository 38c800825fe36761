// What a field could not hold is no value: a character, an enumeration, a pointer, a vector of another number, a list of lists.
// expect: deleted function
// expect 2: deleted function
// expect 3: deleted function
// expect 4: deleted function
// expect 5: deleted function
// expect 6: no matching
#include <quiver/schema/document.hpp>

#include <string>
#include <vector>

using namespace quiver;

enum class Colour { red };

Document document() {
  [[maybe_unused]] int number = 3;
#ifndef MUST_FAIL
  return Document{"k", {{"text", "c"}, {"number", number}, {"vector", std::vector<float>(3)}, {"list", {"a", "b"}}}};
#elif MUST_FAIL == 1
  return Document{"k", {{"x", 'c'}}};
#elif MUST_FAIL == 2
  return Document{"k", {{"x", Colour::red}}};
#elif MUST_FAIL == 3
  return Document{"k", {{"x", &number}}};
#elif MUST_FAIL == 4
  return Document{"k", {{"x", std::vector<double>(3)}}};
#elif MUST_FAIL == 5
  return Document{"k", {{"x", std::vector<int>(3)}}};
#else
  return Document{"k", {{"x", {{"a", "b"}}}}};
#endif
}
