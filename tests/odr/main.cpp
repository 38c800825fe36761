#include "store.hpp"

#include <iostream>

int main() {
  if (nearest() != "near" || nearest_by_second_unit() != "near" || nearest_by_shared_library() != "near") {
    std::cerr << "the units answer differently\n";
    return 1;
  }
  try {
    throw_from_shared_library();
  } catch (const quiver::Error& e) {
    if (e.code() == quiver::Errc::invalid_argument) return 0;
    std::cerr << "another error than expected: " << e.what() << '\n';
    return 1;
  }
  std::cerr << "no error was thrown\n";
  return 1;
}
