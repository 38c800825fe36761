// verify() for those who have a path and no collection.
#pragma once

#include <quiver/collection/verify.hpp>
#include <quiver/storage/file_read.hpp>

namespace quiver {

/// Checks the collection in the folder `path` as Collection::verify does, without opening it: a damaged manifest is a problem in the report, not an
/// exception. Writes nothing and takes no lock. not_found: there is no such folder.
/// (A template so that only programs which call it compile it.)
template <class = void>
[[nodiscard]] VerifyReport verify(const std::filesystem::path& path, VerifyLevel level = VerifyLevel::full) {
  const auto store = FileReadPolicy::open_store(path, {}, OpenMode::read_only);
  return detail::Verifier<FileReadPolicy>(store, level).run();
}

}  // namespace quiver
