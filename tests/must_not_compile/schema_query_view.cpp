// A query is a range of float, Half, int8 or uint8: a bare pointer has no length, doubles would lose digits.
// expect: no matching
// expect 2: no matching
// expect 3: no matching
#include <quiver/schema/query_view.hpp>

#include <cstddef>
#include <vector>

std::size_t use() {
  const std::vector<float> floats(3);
#ifndef MUST_FAIL
  return quiver::QueryView(floats).size();
#elif MUST_FAIL == 1
  return quiver::QueryView(floats.data()).size();
#elif MUST_FAIL == 2
  return quiver::QueryView(std::vector<double>(3)).size();
#else
  return quiver::QueryView("text").size();
#endif
}
