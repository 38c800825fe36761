// A field is read as one of the types that fields have; a view is not taken from a document that is about to end.
// expect: quiver: a field is read as bool, an integer, float, double
// expect 2: deleted
#include <quiver/schema/document.hpp>

#include <string_view>

using namespace quiver;

Document make() { return Document{"k", {{"title", "x"}}}; }

bool use() {
  const Document document = make();
#ifndef MUST_FAIL
  return document.get<std::string_view>("title") == make().get<std::string>("title");
#elif MUST_FAIL == 1
  return document.get<const char*>("title").has_value();
#else
  return make().get<std::string_view>("title").has_value();
#endif
}
