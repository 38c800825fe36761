// The version of the library.
#pragma once

#include <string_view>

#define QUIVER_VERSION_MAJOR 0
#define QUIVER_VERSION_MINOR 1
#define QUIVER_VERSION_PATCH 0

namespace quiver {

inline constexpr std::string_view library_version = "0.1.0";

}  // namespace quiver
