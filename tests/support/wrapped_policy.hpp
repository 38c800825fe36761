// What test policies that wrap another one have in common: everything that is not reading goes straight through.
#pragma once

#include <quiver/storage/policy.hpp>

#include <utility>

namespace quiver::test {

template <class P>
struct WrappedWriting {
  using LogReader = typename P::LogReader;
};
template <WritableStoragePolicy P>
struct WrappedWriting<P> {
  using Draft = typename P::Draft;
  using Lock = typename P::Lock;
  using Log = typename P::Log;
  using LogReader = typename P::LogReader;
};

/// A store of P; `Wrapper` makes its own reader and scope of P's.
template <class P>
class WrappedStore {
 public:
  explicit WrappedStore(typename P::Store inner) : inner_(std::move(inner)) {}
  [[nodiscard]] Bytes read_small(std::string_view name) const { return inner_.read_small(name); }
  [[nodiscard]] auto read_log(std::string_view name) const { return inner_.read_log(name); }
  [[nodiscard]] std::vector<FileInfo> list() const { return inner_.list(); }
  [[nodiscard]] const std::filesystem::path& path() const { return inner_.path(); }

  [[nodiscard]] auto create(std::string_view name)
    requires WritableStoragePolicy<P>
  {
    return inner_.create(name);
  }
  template <class D>
  void publish(D&& draft)
    requires WritableStoragePolicy<P>
  {
    inner_.publish(std::forward<D>(draft));
  }
  [[nodiscard]] auto append_log(std::string_view name, ByteSpan first)
    requires WritableStoragePolicy<P>
  {
    return inner_.append_log(name, first);
  }
  void remove(std::string_view name)
    requires WritableStoragePolicy<P>
  {
    inner_.remove(name);
  }
  [[nodiscard]] auto lock_for_writing()
    requires WritableStoragePolicy<P>
  {
    return inner_.lock_for_writing();
  }

 protected:
  typename P::Store inner_;
};

}  // namespace quiver::test
