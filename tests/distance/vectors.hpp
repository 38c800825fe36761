// Vectors that bring out what a kernel could get wrong.
#pragma once

#include <cmath>
#include <cstddef>
#include <random>
#include <span>
#include <string_view>

namespace quiver::test {

enum class Kind { ordinary, large, tiny, subnormal, mixed, close, alternating };

inline constexpr Kind all_kinds[] = {Kind::ordinary, Kind::large, Kind::tiny, Kind::subnormal, Kind::mixed, Kind::close, Kind::alternating};

[[nodiscard]] constexpr std::string_view to_string(Kind kind) noexcept {
  constexpr std::string_view names[] = {"ordinary", "large", "tiny", "subnormal", "mixed", "close", "alternating"};
  return names[static_cast<std::size_t>(kind)];
}

inline constexpr std::size_t some_dimensions[] = {1,  2,  3,  4,   5,   6,   7,   8,   9,   10,  11,  12,  13,  14,   15,   16,   17,   18,   19,
                                                  20, 23, 24, 25,  31,  32,  33,  39,  40,  41,  47,  48,  49,  55,   56,   57,   63,   64,   65,
                                                  71, 79, 96, 100, 127, 128, 129, 200, 255, 256, 257, 300, 784, 1000, 1023, 1025, 4097, 65536};

inline void fill(std::span<float> out, Kind kind, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> exponent(-20, 14);
  std::size_t i = 0;
  for (float& x : out) {
    const float n = normal(random);
    switch (kind) {
      case Kind::ordinary:
        x = n;
        break;
      case Kind::large:
        x = n * 1e18f;
        break;
      case Kind::tiny:
        x = n * 1e-18f;
        break;
      case Kind::subnormal:
        x = n * 1e-40f;
        break;
      case Kind::mixed:
        x = std::copysign(std::pow(10.0f, exponent(random)), n);
        break;
      case Kind::close:
        x = 1000.0f + n * 1e-3f;
        break;
      case Kind::alternating:
        x = (i % 2 == 0 ? 1e6f : -1e6f) + n;
        break;
    }
    ++i;
  }
}

}  // namespace quiver::test
