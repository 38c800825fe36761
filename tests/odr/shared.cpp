#include "store.hpp"

std::string nearest_by_shared_library() { return nearest(); }

void throw_from_shared_library() {
  auto store = filled_store();
  static_cast<void>(store.search({.field = "nowhere", .query = {1.0f, 0.5f}}));
}
