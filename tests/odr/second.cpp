#include "store.hpp"

std::string nearest_by_second_unit() { return nearest(); }
