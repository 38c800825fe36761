// A collection as a folder of JSON lines and npy files, and a collection made from such a folder. formats/README.md describes the files.
#pragma once

#include <quiver/collection/dump_schema.hpp>
#include <quiver/collection/loading_folder.hpp>
#include <quiver/collection/scan.hpp>
#include <quiver/formats/json_document.hpp>
#include <quiver/formats/npy.hpp>
#if defined(__linux__)
#include <quiver/storage/posix_file_system.hpp>
#endif

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace quiver {

class PosixFileSystem;  // a collection of one's own policy compiles where it is not to be had; dump and load do not

namespace detail {

/// Writes the documents of one moment into the new or empty `folder`: the other files durably first, then schema.json, without which it is no dump. An error
/// leaves nothing of it. Memory: a document, and 256 KiB per file. O(bytes).
template <FileSystem FS, StoragePolicy P>
void write_dump(const std::shared_ptr<const View<P>>& view, const std::filesystem::path& folder) {
  std::error_code ignored;
  const bool was_there = std::filesystem::exists(folder, ignored);
  try {
    const auto directory = Directory<FS>::create(folder);
    if (const auto found = directory->list(); !found.empty())
      fail(Errc::already_exists, folder, "the folder is not empty, '" + found.front().name + "' is in it; choose another folder for the dump");
    const auto& manifest = view->version().manifest;
    const auto& schema = view->schema();
    DumpInfo info{view->count(),
                  schema,
                  manifest.durability,
                  static_cast<std::size_t>(manifest.flush_bytes),
                  static_cast<std::size_t>(manifest.segment_rows),
                  manifest.retain_versions,
                  manifest.retain_age_seconds,
                  manifest.preferred_policy,
                  {}};
    std::vector<DumpWriter<FS>> files;
    files.reserve(1 + schema.vectors().size());
    files.emplace_back(*directory, std::string(dump_documents_name));
    for (std::size_t i = 0; i < schema.vectors().size(); ++i) {
      const auto& field = schema.vectors()[i];
      files.emplace_back(*directory, dump_vectors_name(i)).append(npy_header(npy_type_of(field.element()), info.documents, field.dimension()));
    }

    ViewScan<P> scan(view, {});
    std::uint64_t rows = 0;
    std::string line;
    Bytes stored;
    for (Document document; scan.next(document); ++rows) {
      line.clear();
      append_json_document(line, schema, document);
      line += '\n';
      files.front().append(line);
      const auto vectors = document.fields().subspan(schema.fields().size());
      for (std::size_t i = 0; i < vectors.size(); ++i) {
        const auto& elements = std::get<std::vector<float>>(vectors[i].value().storage());
        const auto element = schema.vectors()[i].element();
        stored.resize(elements.size() * element_bytes(element));
        store_elements(element, elements, stored.data());  // exactly: they were stored so
        files[1 + i].append(as_text(stored));
      }
    }
    if (rows != info.documents)
      fail(Errc::corruption, view->version().store->path(),
           std::to_string(info.documents) + " documents were to be dumped, " + std::to_string(rows) + " were found; verify the collection");
    for (auto& file : files) info.files.push_back(file.finish());

    auto last = directory->create_draft(dump_schema_name);
    last.append(as_bytes(encode_dump_info(info)));
    try {
      directory->publish(std::span(files), [](DumpWriter<FS>& file) -> auto& { return file.draft(); });
      directory->publish(std::span(&last, 1));
    } catch (...) {
      // A publish that fails in its last step leaves its files visible. The folder was empty.
      std::filesystem::remove(folder / dump_schema_name, ignored);
      for (const auto& file : info.files) std::filesystem::remove(folder / file.name, ignored);
      throw;
    }
  } catch (...) {
    if (!was_there) std::filesystem::remove(folder, ignored);  // if it is empty
    throw;
  }
}

/// A dump, open to be read once from its beginning to its end. One thread.
template <FileSystem FS>
class DumpLoader {
 public:
  /// not_found: there is no whole dump; version_mismatch: of a newer quiver; corruption, with file and offset: schema.json, or another file that is not there
  /// or not of the size, shape or type that schema.json tells.
  explicit DumpLoader(const std::filesystem::path& folder)
      : directory_(Directory<FS>::open(folder, OpenMode::read_only)), info_(read_info()), documents_(*directory_, std::string(dump_documents_name)) {
    check_size(documents_, 0);
    for (std::size_t i = 0; i < info_.schema.vectors().size(); ++i) {
      auto& file = vectors_.emplace_back(*directory_, dump_vectors_name(i));
      check_size(file, 1 + i);
      const auto element = info_.schema.vectors()[i].element();
      const auto header = parse_npy_header(npy_type_of(element), element_bytes(element), file.peek(max_npy_header), file.size(), file.path());
      const auto dimension = info_.schema.vectors()[i].dimension();
      if (header.rows != info_.documents || header.dimension != dimension)
        fail(Errc::corruption, file.path(), 0,
             "the shape is (" + std::to_string(header.rows) + ", " + std::to_string(header.dimension) + "); schema.json tells of " +
                 std::to_string(info_.documents) + " documents and dimension " + std::to_string(dimension));
      file.skip(static_cast<std::size_t>(header.data_offset));
    }
  }

  [[nodiscard]] const DumpInfo& info() const noexcept { return info_; }

  /// Calls insert(std::span<const Document>) for one batch after another, and at the end compares counts and checksums: before this has returned, nothing is
  /// known to be whole. What insert throws because of a document names its line and offset; a batch that fails has inserted nothing. Memory: about 8 MiB, or
  /// one document.
  template <class Insert>
  void run(Insert&& insert) {
    JsonDocumentReader reader(info_.schema);
    std::vector<Document> batch;
    std::vector<std::uint64_t> offsets;
    Bytes stored;
    std::uint64_t lines = 0;
    std::size_t bytes = 0;
    const auto send = [&] {
      if (!batch.empty()) insert_batch(insert, batch, offsets, lines - batch.size());
      batch.clear(), offsets.clear();
      bytes = 0;
    };
    for (;;) {
      const auto offset = documents_.position();
      const auto line = documents_.line();
      if (!line) break;
      if (++lines > info_.documents)
        fail(Errc::corruption, documents_.path(), offset, "here is another document than the " + std::to_string(info_.documents) + " of schema.json");
      JsonReader json(*line, documents_.path(), offset, lines);
      auto& document = batch.emplace_back(reader.read(json));
      offsets.push_back(offset);
      bytes += line->size();
      for (std::size_t i = 0; i < vectors_.size(); ++i) {
        const auto& field = info_.schema.vectors()[i];
        stored.resize(field.dimension() * element_bytes(field.element()));
        vectors_[i].read(stored);
        bytes += field.dimension() * sizeof(float);
        DocumentAccess::append(document, field.name(), load_elements(field.element(), stored));
      }
      if (batch.size() == 1000 || bytes >= (std::size_t{4} << 20)) send();
    }
    if (lines != info_.documents)
      fail(Errc::corruption, documents_.path(), documents_.position(),
           "the file ends after " + std::to_string(lines) + " documents; schema.json tells of " + std::to_string(info_.documents));
    send();
    if (info_.files.empty()) return;  // written by hand, without checksums
    documents_.verify(info_.files.front());
    for (std::size_t i = 0; i < vectors_.size(); ++i) vectors_[i].verify(info_.files[1 + i]);
  }

 private:
  [[nodiscard]] DumpInfo read_info() const {
    const auto path = directory_->path() / dump_schema_name;
    const auto bytes = [&] {
      try {
        return directory_->read_small(dump_schema_name);
      } catch (const Error& e) {
        if (e.code() != Errc::not_found) throw;
        fail(Errc::not_found, path, "this folder holds no whole dump: schema.json, which is written last, is missing");
      }
    }();
    return DumpInfoParser(as_text(bytes), path).run();
  }
  void check_size(const DumpReader<FS>& file, std::size_t number) const {
    if (info_.files.empty() || info_.files[number].bytes == file.size()) return;
    fail(Errc::corruption, file.path(), std::min(file.size(), info_.files[number].bytes),
         "the file has " + std::to_string(file.size()) + " bytes; schema.json tells of " + std::to_string(info_.files[number].bytes));
  }
  template <class Insert>
  void insert_batch(Insert&& insert, std::span<const Document> batch, const std::vector<std::uint64_t>& offsets, std::uint64_t lines_before) const {
    try {
      insert(batch);
    } catch (const Error& e) {
      if (!of_a_document(e.code())) throw;
      // One by one, to find out which.
      for (std::size_t i = 0; i < batch.size(); ++i) {
        try {
          insert(batch.subspan(i, 1));
        } catch (const Error& of_one) {
          if (!of_a_document(of_one.code())) throw;
          fail(of_one.code(), documents_.path(), offsets[i], "line " + std::to_string(lines_before + i + 1) + ": " + of_one.what());
        }
      }
      throw;
    }
  }
  [[nodiscard]] static bool of_a_document(Errc code) noexcept {
    return code == Errc::duplicate_key || code == Errc::schema_mismatch || code == Errc::type_mismatch || code == Errc::dimension_mismatch ||
           code == Errc::invalid_vector || code == Errc::invalid_argument;
  }

  std::shared_ptr<Directory<FS>> directory_;
  DumpInfo info_;
  DumpReader<FS> documents_;
  std::vector<DumpReader<FS>> vectors_;
};

/// As the dump tells, but for what `options` set.
template <StoragePolicy P>
[[nodiscard]] CreateOptions<P> create_options(const DumpInfo& info, const LoadOptions<P>& options) {
  CreateOptions<P> out{.storage = options.storage};
  const auto choose = [](auto& to, const auto& asked, const auto& told) {
    if (asked) {
      to = *asked;
    } else if (told) {
      to = *told;
    }
  };
  choose(out.durability, options.durability, info.durability);
  choose(out.flush_bytes, options.flush_bytes, info.flush_bytes);
  choose(out.segment_rows, options.segment_rows, info.segment_rows);
  choose(out.preferred_policy, options.preferred_policy, info.preferred_policy);
  if (info.retain_versions) out.retain.versions = *info.retain_versions;
  if (info.retain_age_seconds) out.retain.age = std::chrono::seconds(*info.retain_age_seconds);
  if (options.retain) out.retain = *options.retain;
  return out;
}

/// Collection C in `path`, which is there only when it is whole.
template <FileSystem FS, class C>
[[nodiscard]] C load_dump(const std::filesystem::path& folder, const std::filesystem::path& path, const LoadOptions<typename C::Policy>& options) {
  DumpLoader<FS> dump(folder);
  LoadingFolder<FS> place(path);
  {
    auto create = create_options(dump.info(), options);
    create.live_index = false;  // nobody searches here
    auto made = C::create(place.building(), dump.info().schema, create);
    dump.run([&](std::span<const Document> batch) { made.insert(batch, {.durability = Durability::none}); });
    made.close();  // flushes
  }
  place.publish();
  return C::open(path, {.storage = options.storage, .background_compaction = options.background_compaction, .live_index = options.live_index});
}

/// Collection C in memory alone.
template <FileSystem FS, class C>
[[nodiscard]] C load_dump(const std::filesystem::path& folder, const LoadOptions<typename C::Policy>& options) {
  DumpLoader<FS> dump(folder);
  auto create = create_options(dump.info(), options);
  create.background_compaction = options.background_compaction;
  create.live_index = options.live_index;
  auto made = C::create(dump.info().schema, create);
  dump.run([&](std::span<const Document> batch) { made.insert(batch); });
  made.flush();
  return made;
}

}  // namespace detail
}  // namespace quiver
