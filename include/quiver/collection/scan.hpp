// Reading documents one after another.
#pragma once

#include <quiver/collection/view.hpp>

#include <cstddef>
#include <iterator>
#include <limits>
#include <memory>
#include <utility>

namespace quiver {
namespace detail {

/// Where a ScanResult's documents come from; erased once per scan.
class ScanSource {
 public:
  virtual ~ScanSource() = default;
  /// Fills the next document; false at the end.
  virtual bool next(Document& to) = 0;
};

template <StoragePolicy P>
class ViewScan final : public ScanSource {
 public:
  ViewScan(std::shared_ptr<const View<P>> view, const ScanRequest& request)
      : view_(std::move(view)),
        fields_(view_->schema(), request.fields, true),
        left_(std::min<std::uint64_t>(request.limit.value_or(std::numeric_limits<std::size_t>::max()), view_->count())),
        scope_(view_->scope()) {}

  bool next(Document& to) override {
    const auto& rows = view_->rows();
    for (; left_ != 0 && at_ < rows.size(); ++at_) {
      const bool live = rows.is_live(scope_, at_);
      if (live) to = rows.read(scope_, view_->schema(), fields_, at_);
      scope_.renew();  // the document is a copy: no view is held while the caller looks at it
      if (!live) continue;
      ++at_;
      --left_;
      return true;
    }
    return false;
  }

 private:
  std::shared_ptr<const View<P>> view_;
  Projection fields_;
  std::uint64_t at_ = 0;
  std::uint64_t left_;
  typename P::ReadScope scope_;
};

}  // namespace detail

/// The documents of one moment in doc-id order: a move-only input range. Owns its snapshot; documents inserted later do not show.
/// A damaged or unreadable file throws from ++ or begin(). One thread at a time.
class ScanResult {
 public:
  class iterator {
   public:
    using value_type = Document;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    iterator() = default;
    [[nodiscard]] const Document& operator*() const noexcept { return scan_->document_; }
    [[nodiscard]] const Document* operator->() const noexcept { return &scan_->document_; }
    iterator& operator++() {
      scan_->advance();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& i, std::default_sentinel_t) noexcept { return i.done(); }

   private:
    friend class ScanResult;
    [[nodiscard]] bool done() const noexcept { return scan_ == nullptr || scan_->ended_; }
    explicit iterator(ScanResult* scan) : scan_(scan) {}
    ScanResult* scan_ = nullptr;
  };

  explicit ScanResult(std::unique_ptr<detail::ScanSource> source) : source_(std::move(source)) {}
  ScanResult(ScanResult&&) noexcept = default;
  ScanResult& operator=(ScanResult&&) noexcept = default;

  /// The current place; the first call reads the first document.
  [[nodiscard]] iterator begin() {
    if (!started_) advance();
    return iterator(this);
  }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return std::default_sentinel; }

 private:
  void advance() {
    started_ = true;
    ended_ = source_ == nullptr || !source_->next(document_);
    if (ended_) source_.reset();
  }

  std::unique_ptr<detail::ScanSource> source_;
  Document document_;
  bool started_ = false;
  bool ended_ = false;
};

}  // namespace quiver
