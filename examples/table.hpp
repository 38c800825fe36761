// A table of text whose columns line up: the first column to the left, the others to the right.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace examples {

/// printf into a string.
template <class... Arguments>
[[nodiscard]] std::string format(const char* pattern, Arguments... arguments) {
  char text[256];
  std::snprintf(text, sizeof text, pattern, arguments...);
  return text;
}

/// 10000 as "10,000".
[[nodiscard]] inline std::string with_commas(std::size_t number) {
  std::string digits = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) digits.insert(static_cast<std::size_t>(at), ",");
  return digits;
}

class Table {
 public:
  explicit Table(std::vector<std::string> head) : rows_{std::move(head)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

  [[nodiscard]] std::string text() const {
    std::vector<std::size_t> widths(rows_.front().size(), 0);
    for (const auto& row : rows_)
      for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    std::string all;
    for (const auto& row : rows_) {
      for (std::size_t i = 0; i < widths.size(); ++i) {
        const std::string gap(widths[i] - row[i].size(), ' ');
        all += i == 0 ? "  " + row[i] + gap : "   " + gap + row[i];
      }
      all += '\n';
      if (&row == &rows_.front()) {
        for (std::size_t i = 0; i < widths.size(); ++i) all += (i == 0 ? "  " : "   ") + std::string(widths[i], '-');
        all += '\n';
      }
    }
    return all;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace examples
