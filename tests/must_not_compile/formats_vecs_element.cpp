// The formats of the family hold float, unsigned bytes and int32, nothing else.
// expect: constraint
#include <quiver/formats/vecs.hpp>

std::size_t use() {
#ifndef MUST_FAIL
  return quiver::VecsReader<float>("data.fvecs").dimension();
#else
  return quiver::VecsReader<double>("data.dvecs").dimension();
#endif
}
