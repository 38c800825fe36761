// Files that guard the formats, and the worked examples in the READMEs beside the code.
#pragma once

#include <quiver/core/types.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>

#ifndef QUIVER_SOURCE_DIR
#define QUIVER_SOURCE_DIR "."
#endif

namespace quiver::test {

// A file of the repository, whole. `name` is relative to its root.
inline Bytes repository_file(const std::string& name) {
  std::ifstream in(std::filesystem::path(QUIVER_SOURCE_DIR) / name, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + name);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  Bytes bytes(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) bytes[i] = static_cast<std::byte>(text[i]);
  return bytes;
}

// The bytes of the README's block number `which` of those that begin with "```hex": lines of "offset  bytes  ; meaning", where "00 * 4032" is that many zeros.
// The offsets must be right.
inline Bytes worked_example(const std::string& readme, int which = 0) {
  const auto raw = repository_file(readme);
  std::istringstream lines(std::string(reinterpret_cast<const char*>(raw.data()), raw.size()));
  Bytes bytes;
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("```")) {
      if (inside) return bytes;
      inside = line == "```hex" && which-- == 0;
      continue;
    }
    if (!inside) continue;
    std::istringstream words(line.substr(0, line.find(';')));
    std::string word;
    words >> word;
    if (std::stoul(word, nullptr, 16) != bytes.size()) throw std::runtime_error(readme + ": the offset of this line is wrong: " + line);
    while (words >> word) {
      if (word == "*") {
        std::size_t times = 0;
        words >> times;
        bytes.resize(bytes.size() - 1 + times, bytes.back());
      } else {
        bytes.push_back(static_cast<std::byte>(std::stoul(word, nullptr, 16)));
      }
    }
  }
  throw std::runtime_error(readme + " has no worked example");
}

}  // namespace quiver::test
