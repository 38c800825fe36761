// A block file mapped into memory: what the three mapping policies have in common.
#pragma once

#include <quiver/storage/folder_store.hpp>
#include <quiver/storage/verified_footer.hpp>

namespace quiver::detail {

/// A file whose identity was checked, mapped whole and read-only. Immutable; shared by readers. A file shorter than recorded is refused before it is mapped,
/// so that no page lies past its end; the library itself never shortens a file.
template <FileSystem FS>
struct MappedFile {
  std::filesystem::path path;
  std::uint64_t size = 0;
  FileTrailer trailer;
  typename FS::Mapping mapping;

  [[nodiscard]] ByteSpan bytes() const noexcept { return {mapping.data(), static_cast<std::size_t>(size)}; }
  [[nodiscard]] ByteSpan footer() const noexcept { return bytes().subspan(static_cast<std::size_t>(trailer.data_length)); }

  /// not_found, corruption, version_mismatch, io_error.
  [[nodiscard]] static std::shared_ptr<const MappedFile> open(const Directory<FS>& directory, std::string_view name, const FileIdentity& identity,
                                                              VerifyLevel verify, const MapHints& hints) {
    auto opened = directory.open_file(name);
    if (opened.size != identity.length || opened.size == 0)
      static_cast<void>(check_identity([](std::uint64_t, std::size_t) { return ByteSpan(); }, opened.size, identity, opened.path));  // says what is wrong
    auto file = std::make_shared<MappedFile>();
    file->path = std::move(opened.path);
    file->size = opened.size;
    must(Access::reading, "map", file->path, [&] { return FS::map_ro(opened.file, static_cast<std::size_t>(file->size), hints, file->mapping); });
    const auto at = [&](std::uint64_t offset, std::size_t length) { return file->bytes().subspan(static_cast<std::size_t>(offset), length); };
    file->trailer = check_identity(at, file->size, identity, file->path);
    if (verify != VerifyLevel::none) check_footer(file->footer(), file->trailer, file->path);
    if (verify == VerifyLevel::full)
      check_chunks(file->bytes().first(static_cast<std::size_t>(file->trailer.data_length)), 0, file->footer(), file->trailer, file->path);
    return file;
  }
};

/// Views straight into the mapping: the reader of zero copy. Shares the mapping with its copies.
template <FileSystem FS>
class MappedReader {
 public:
  explicit MappedReader(std::shared_ptr<const MappedFile<FS>> file) noexcept : file_(std::move(file)), data_(file_->mapping.data()) {}

  [[nodiscard]] std::uint64_t size() const noexcept { return file_->size; }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return file_->path; }
  [[nodiscard]] const std::byte* data() const noexcept { return data_; }
  [[nodiscard]] ByteSpan view(EmptyReadScope&, std::uint64_t offset, std::size_t length) const noexcept { return {data_ + offset, length}; }
  /// Asks for large stretches only: what a fault and its read-around bring anyway is not worth a system call.
  void prefetch(EmptyReadScope&, std::span<const Range> ranges) const noexcept {
    for (const auto& range : ranges)
      if (range.length >= worth_asking) file_->mapping.will_need(range.offset, range.length);
  }

 private:
  static constexpr std::size_t worth_asking = std::size_t{128} << 10;
  std::shared_ptr<const MappedFile<FS>> file_;
  const std::byte* data_;
};

}  // namespace quiver::detail
