// The vector, or vectors, of a search request.
#pragma once

#include <quiver/schema/half.hpp>

#include <initializer_list>
#include <span>
#include <utility>
#include <vector>

namespace quiver {

/// Query floats without a copy where that can be: a view of floats that the caller keeps alive, or its own floats where they were given as
/// another element type, as a braced list or as a temporary vector. For a batch: rows one after another. A value; one thread at a time.
class QueryView {
 public:
  QueryView() = default;
  template <VectorLike R>
    requires(std::same_as<std::ranges::range_value_t<const R>, float>)
  QueryView(const R& elements QUIVER_LIFETIMEBOUND) : view_(std::ranges::data(elements), static_cast<std::size_t>(std::ranges::size(elements))) {}
  template <VectorLike R>
  QueryView(const R& elements) {
    own(detail::to_floats(elements));
  }
  template <std::same_as<std::vector<float>> R>
  QueryView(R&& elements) {
    own(std::move(elements));
  }
  QueryView(std::initializer_list<float> elements) { own(std::vector<float>(elements)); }

  [[nodiscard]] std::span<const float> floats() const noexcept QUIVER_LIFETIMEBOUND { return owns_ ? std::span<const float>(owned_) : view_; }
  [[nodiscard]] std::size_t size() const noexcept { return floats().size(); }
  [[nodiscard]] bool empty() const noexcept { return floats().empty(); }

 private:
  void own(std::vector<float> elements) {
    owned_ = std::move(elements);
    owns_ = true;
  }

  std::span<const float> view_;
  std::vector<float> owned_;
  bool owns_ = false;
};

}  // namespace quiver
