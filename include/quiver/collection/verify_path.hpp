// verify() and stats() for those who have a path and no collection.
#pragma once

#include <quiver/collection/collection.hpp>
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

/// What Collection::stats tells, of the newest moment of the collection in the folder `path`; `resident` is what reading it took. Writes nothing and takes
/// no lock. Errors are those of Collection::open. O(files + what is not flushed). Safe from any thread.
template <class = void>
[[nodiscard]] Stats stats(const std::filesystem::path& path) {
  return Collection<FileReadPolicy>::open(path, {.mode = OpenMode::read_only}).stats();
}

}  // namespace quiver
