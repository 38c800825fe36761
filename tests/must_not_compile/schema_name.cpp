// A name is one text: not a number, not nullptr, not two texts (which a string_view would take for a pair of iterators).
// expect: no matching
// expect 2: no matching
// expect 3: no matching
// expect 4: no matching
#include <quiver/schema/document.hpp>

#include <string_view>

using namespace quiver;

std::string_view look_up(Name name) { return name.view(); }

void use() {
  const Document document("k");
#ifndef MUST_FAIL
  (void)look_up("a");
  (void)document.has("a");
#elif MUST_FAIL == 1
  (void)Name(0);
#elif MUST_FAIL == 2
  (void)Name(nullptr);
#elif MUST_FAIL == 3
  (void)Name("a", "b");
#else
  const Document other{0, {}};
#endif
}
