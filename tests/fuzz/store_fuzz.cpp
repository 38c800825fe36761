// Fuzzes a whole collection: an input is a list of edits to the files of a sample store, which is then opened, read in every way, repaired and written to. The
// build accepts every checksum, so what the edits make of the files is read, and files contradict each other.
#include <quiver/collection/collection.hpp>
#include <quiver/collection/repair.hpp>

#include "fuzz/accepted.hpp"
#include "support/recording_file_system.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using namespace quiver;
using namespace quiver::test;
using Disk = RecordingFileSystem;
using Writing = Collection<BasicMMapPolicy<Disk>>;
using Reading = Collection<BasicFileReadPolicy<Disk>>;

constexpr const char* path = "/store";

[[noreturn]] void broken(const char* what) {
  std::fprintf(stderr, "store_fuzz: %s\n", what);
  std::abort();
}

Document numbered(int i, const std::string& text) {
  return Document{"k" + std::to_string(i), {{"s", text}, {"l", Strings{"a", text}}, {"n", i}, {"v", {static_cast<float>(i), 1.0f}}}};
}

/// What a killed writer left: three versions, deletes, a merged segment beside others, and a log with batches.
InodePtr sample() {
  Disk::reset();
  {
    auto c = Writing::create(path, Schema{Field::string("s").nullable(), Field::strings("l").nullable(), Field::int32("n"), VectorField("v", 2)},
                             {.segment_rows = 4, .retain = {.versions = 3}});
    for (int i = 0; i < 12; ++i) {
      c.insert(numbered(i, std::string(static_cast<std::size_t>(i), 'x')));
      if (i % 4 == 3) c.flush();
    }
    c.erase({"k1", "k2", "k9"});
    c.optimize();
    c.erase("k4");
    c.flush();
    c.upsert(numbered(5, "again"));
    c.erase("k6");
    c.insert(std::vector<Document>{numbered(20, "twenty"), numbered(21, "")});
    Disk::kill();
  }
  return copy_tree(Disk::root());
}

struct File {
  Inode* folder;
  std::string name;
};
void files_of(Inode& folder, std::vector<File>& out) {
  for (auto& [name, inode] : folder.names) {
    if (inode->kind == EntryKind::folder)
      files_of(*inode, out);
    else
      out.push_back({&folder, name});
  }
}

/// One edit is eight bytes: file, what is done, where, and with what.
void edit(const InodePtr& root, const std::uint8_t* data) {
  std::vector<File> files;
  files_of(*root, files);
  if (files.empty()) return;
  const auto& file = files[data[0] % files.size()];
  auto& bytes = file.folder->names.at(file.name)->bytes;
  const auto other = files[data[2] % files.size()];
  std::uint32_t where = 0;
  std::memcpy(&where, data + 2, sizeof where);
  // Half of the time near the end, where tables and footers are.
  const auto size = bytes.size();
  const std::size_t at = size == 0 ? 0 : data[1] % 2 == 0 ? where % size : size - 1 - where % std::min<std::size_t>(size, 512);
  switch (data[1] / 2 % 16) {
    case 0:
      bytes.resize(at);
      break;
    case 1:
      bytes.insert(bytes.end(), where % 300, static_cast<std::byte>(data[6]));
      break;
    case 2:
      file.folder->names.erase(file.name);
      break;
    case 3:
      bytes = Bytes(other.folder->names.at(other.name)->bytes);
      break;
    case 4:
      std::swap(bytes, other.folder->names.at(other.name)->bytes);
      break;
    case 5:  // a file under another's number
      other.folder->names[file.name] = std::make_shared<Inode>(*file.folder->names.at(file.name));
      break;
    default:
      for (std::size_t i = 0; i < 2 && at + i < size; ++i) bytes[at + i] ^= static_cast<std::byte>(data[6 + i]);
  }
}

/// Whatever an error is, it is one of ours, and not of those that say what the caller did wrong; but for invalid_argument, which the builder of a block
/// says of rows whose forged ids it cannot put in order.
template <class F>
bool tried(F&& f) {
  try {
    f();
    return true;
  } catch (const Error& e) {
    if (e.code() == Errc::duplicate_key || e.code() == Errc::schema_mismatch || e.code() == Errc::type_mismatch || e.code() == Errc::dimension_mismatch ||
        e.code() == Errc::closed || e.code() == Errc::locked)
      broken(e.what());
    return false;
  }
}

template <class C>
void read(C& c) {
  std::uint64_t seen = 0;
  tried([&] {
    for (const Document& d : c.scan({.fields = {}})) ++seen, static_cast<void>(c.fetch(d.key()));
    if (seen != c.count()) broken("a scan shows another number of documents than count()");
  });
  for (const auto* key : {"k0", "k1", "k5", "k20", "nobody"}) tried([&] { static_cast<void>(c.fetch(key)); });
  tried([&] { static_cast<void>(c.search({.field = "v", .query = {3.0f, 1.0f}, .k = 5})); });
  static_cast<void>(c.stats());
  tried([&] { static_cast<void>(c.verify(VerifyLevel::full)); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto fresh = sample();
  const auto root = copy_tree(fresh);
  for (std::size_t at = 0; at + 8 <= size && at < 64; at += 8) edit(root, data + at);
  Disk::mount(root);
  std::vector<VersionInfo> versions;
  tried([&] {
    auto c = Reading::open(path);
    fuzz::accepted();
    versions = c.versions();
    read(c);
    tried([&] { c.refresh(); });
  });
  for (const auto& version : versions) tried([&] { static_cast<void>(Reading::open(path, {.at_version = version.number}).count()); });
  const auto write = [&] {
    auto c = Writing::open(path);
    read(c);
    tried([&] { c.upsert(numbered(1, "one")); });
    tried([&] { c.flush(); });
    tried([&] { c.optimize(); });
    tried([&] { c.close(); });
  };
  if (size % 2 == 0) {
    tried([&] { static_cast<void>(detail::repair_store<Disk>(path, {.dry_run = false})); });
    tried(write);
  } else {
    tried(write);
    tried([&] { static_cast<void>(detail::repair_store<Disk>(path, {.dry_run = true})); });
  }
  Disk::reset();
  return 0;
}
