// Stores with made or real vectors for the benchmarks that go through Collection.
#pragma once

#include "support/measure.hpp"

#include <quiver/quiver.hpp>

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace bench {

/// A folder of this process that is gone when the benchmark is: below QUIVER_BENCH_FOLDER, else below the current folder, because a temporary folder may be
/// memory and not a disk.
class ScratchFolder {
 public:
  explicit ScratchFolder(const std::string& name) {
    const char* base = std::getenv("QUIVER_BENCH_FOLDER");
    path_ =
        std::filesystem::absolute(base != nullptr ? std::filesystem::path(base) : std::filesystem::current_path()) / (name + "-" + std::to_string(::getpid()));
    std::filesystem::create_directories(path_);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

constexpr std::size_t dimension = 128;

/// Rows of 128 numbers, always the same ones. With QUIVER_DATA naming a folder that holds sift250k/base.u8bin: its rows, and after its end the same rows again
/// with Gaussian noise (sigma 8) on them. Else whole numbers below 256 that gather around 1,000 centres.
class Rows {
 public:
  explicit Rows(std::uint64_t seed) : random_(seed) {
    if (const char* folder = std::getenv("QUIVER_DATA")) {
      std::ifstream file(std::filesystem::path(folder) / "sift250k" / "base.u8bin", std::ios::binary);
      std::uint32_t head[2] = {};
      if (file.read(reinterpret_cast<char*>(head), sizeof head) && head[1] == dimension) {
        base_.resize(std::size_t{head[0]} * dimension);
        if (!file.read(reinterpret_cast<char*>(base_.data()), static_cast<std::streamsize>(base_.size())))
          throw std::runtime_error("sift250k/base.u8bin is too short");
      }
    }
    if (base_.empty()) {
      made_ = true;
      base_.resize(1000 * dimension);
      for (auto& value : base_) value = static_cast<std::uint8_t>(random_() % 256);
    }
  }

  void next(float* row) {
    const std::size_t rows = base_.size() / dimension;
    const bool noisy = made_ || given_ >= rows;
    const std::uint8_t* from = base_.data() + (made_ ? random_() % rows : given_ % rows) * dimension;
    ++given_;
    for (std::size_t i = 0; i < dimension; ++i) row[i] = std::clamp(static_cast<float>(from[i]) + (noisy ? noise() : 0.0F), 0.0F, 255.0F);
  }

  [[nodiscard]] std::vector<float> many(std::size_t count) {
    std::vector<float> all(count * dimension);
    for (std::size_t i = 0; i < count; ++i) next(all.data() + i * dimension);
    return all;
  }

 private:
  /// A sum of uniform numbers with sigma 8, rounded to a whole one: near enough to a Gaussian, and millions a second.
  float noise() {
    const std::uint64_t bits = random_();
    std::int64_t sum = 0;
    for (unsigned shift = 0; shift < 64; shift += 16) sum += static_cast<std::int64_t>((bits >> shift) & 0xFFFF) - 32768;
    return static_cast<float>((sum * 8 + 18918) / 37837);  // sigma of the sum of four: 65536 / sqrt(3)
  }

  std::mt19937_64 random_;
  std::vector<std::uint8_t> base_;
  bool made_ = false;
  std::size_t given_ = 0;
};

[[nodiscard]] inline quiver::Schema flat_schema() {
  return {quiver::Field::int32("group"), quiver::Field::int64("number"), quiver::VectorField("vector", dimension).metric(quiver::Metric::l2)};
}

/// One batch of documents with the given vectors, numbered from `first`.
[[nodiscard]] inline std::vector<quiver::Document> documents(Rows& rows, std::size_t first, std::size_t count) {
  std::vector<quiver::Document> batch;
  batch.reserve(count);
  std::vector<float> vector(dimension);
  for (std::size_t i = first; i < first + count; ++i) {
    rows.next(vector.data());
    batch.push_back(
        quiver::Document{std::to_string(i), {{"group", static_cast<std::int32_t>(i % 100)}, {"number", static_cast<std::int64_t>(i)}, {"vector", vector}}});
  }
  return batch;
}

/// Writes a store of `count` flushed documents and leaves its files in the page cache.
inline void make_store(const std::filesystem::path& path, std::size_t count, std::uint64_t seed) {
  Rows rows(seed);
  auto collection = quiver::Collection<quiver::MMapPolicy>::create(path, flat_schema());
  for (std::size_t first = 0; first < count; first += 1000) collection.insert(documents(rows, first, std::min<std::size_t>(1000, count - first)));
  collection.flush();
  collection.close();
}

template <class P>
[[nodiscard]] auto open_store(const std::filesystem::path& path) {
  return quiver::Collection<P>::open(path, {.mode = quiver::OpenMode::read_only});
}

/// A request for row numbers and distances only.
[[nodiscard]] inline quiver::SearchRequest nearest(std::span<const float> query, std::size_t k = 10) {
  return {.field = "vector", .query = query, .k = k, .fields = quiver::FieldNames::none()};
}

}  // namespace bench
