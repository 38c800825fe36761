// Drafts that are links: a published file of another folder, shared instead of copied.
#pragma once

#include <quiver/storage/directory.hpp>
#include <quiver/storage/verified_footer.hpp>

#include <array>

namespace quiver::detail {

template <FileSystem FS>
std::optional<typename Directory<FS>::Draft> Directory<FS>::link_draft(std::string_view name, const Directory& from, const FileIdentity& identity) {
  auto draft = unmade_draft(name);
  try {
    if (!make_temporary(draft, [&] { return FS::link_from(from.folder_, draft.name_, folder_, draft.temp_); })) return std::nullopt;
    draft.linked_ = true;
    // By what it is, not by what it is called: a name may have been taken anew since the caller opened its file.
    auto opened = open_file(draft.temp_);
    std::array<std::byte, trailer_size> end{};
    const auto at = [&](std::uint64_t offset, std::size_t length) {
      const auto part = std::span(end).first(length);
      read_fully<FS>(opened.file, part, offset, opened.path);
      return ByteSpan(part);
    };
    static_cast<void>(check_identity(at, opened.size, identity, opened.path));
    draft.file_ = std::move(opened.file);
    draft.written_ = opened.size;
    return draft;
  } catch (const Error&) {
    return std::nullopt;  // the draft is discarded; what is wrong with the disk shows when the file is copied
  }
}

}  // namespace quiver::detail
