// A fresh folder for one test, gone with it.
#pragma once

#include <filesystem>
#include <random>
#include <string>

namespace quiver::test {

/// Makes an empty folder under the system's place for temporary files; removes it and all in it at the end. Not copied.
class TempFolder {
 public:
  TempFolder() {
    std::random_device random;
    do path_ = std::filesystem::temp_directory_path() / ("quiver-test-" + std::to_string(random()));
    while (!std::filesystem::create_directory(path_));
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace quiver::test
