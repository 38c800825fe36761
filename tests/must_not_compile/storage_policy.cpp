// A claim is held when the policy is used, and the message names the concept that was not met: a zero-copy reader without data(), a policy that
// only reads asked to write.
// expect: ZeroCopyClaimHolds
// expect 2: caps.writable
#include <quiver/storage/mmap_read.hpp>

using namespace quiver;

struct Pretender : MMapReadPolicy {
  class Reader {
   public:
    std::uint64_t size() const noexcept;
    const std::filesystem::path& path() const noexcept;
    ByteSpan view(ReadScope&, std::uint64_t, std::size_t) const noexcept;
    void prefetch(ReadScope&, std::span<const Range>) const noexcept;
  };
  struct Store : MMapReadPolicy::Store {
    Reader open(std::string_view, const FileIdentity&) const;
  };
  static Store open_store(const std::filesystem::path&, const Options&, OpenMode);
};

template <StoragePolicy P>
void read();
template <WritableStoragePolicy P>
void write();

void use() {
#ifndef MUST_FAIL
  read<MMapReadPolicy>();
#elif MUST_FAIL == 1
  read<Pretender>();
#else
  write<MMapReadPolicy>();
#endif
}
