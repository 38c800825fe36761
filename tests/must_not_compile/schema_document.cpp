// A key alone is not a document, and a field is not a schema of one: both have to be spelled.
// expect: no matching
// expect 2: no matching
#include <quiver/schema/document.hpp>
#include <quiver/schema/schema.hpp>

using namespace quiver;

std::size_t fields_of(const Document& document) { return document.fields().size(); }
std::size_t fields_of(const Schema& schema) { return schema.fields().size(); }

std::size_t use() {
#ifndef MUST_FAIL
  return fields_of(Document("k")) + fields_of(Schema{Field::string("a")});
#elif MUST_FAIL == 1
  return fields_of("k");
#else
  return fields_of(Field::string("a"));
#endif
}
