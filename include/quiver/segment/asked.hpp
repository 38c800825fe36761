// The vectors that a search is asked for, as the kernels for the field's rows take them.
#pragma once

#include <quiver/index/flat.hpp>
#include <quiver/schema/element.hpp>
#include <quiver/schema/field.hpp>

#include <span>

namespace quiver::detail {

/// One query or many, one behind the other. Refers to the caller's floats, and owns what they are as bytes. Any number of threads.
class AskedVectors {
 public:
  /// REQUIRES: check_query() took each.
  AskedVectors(const VectorField& field, std::span<const float> numbers)
      : metric_(field.metric()), element_(field.element()), dimension_(field.dimension()), numbers_(numbers) {
    if (asked_as(element_) == Element::float32) return;
    stored_.resize(numbers.size() * element_bytes(element_));
    store_elements(element_, numbers, stored_.data());
  }
  /// Refers to this.
  template <class Arch = DefaultArch>
  [[nodiscard]] FlatQuery query(std::size_t i) const noexcept {
    const auto one = numbers_.subspan(i * dimension_, dimension_);
    const void* const asked = stored_.empty() ? static_cast<const void*>(one.data()) : &stored_[i * dimension_ * element_bytes(element_)];
    return {metric_, element_, one, asked, metric_ == Metric::cosine ? inverse_norm(one) : 1.0f, kernel_set<Arch>()};
  }

 private:
  Metric metric_;
  Element element_;
  std::size_t dimension_;
  std::span<const float> numbers_;
  Bytes stored_;  // of bytes alone
};

}  // namespace quiver::detail
