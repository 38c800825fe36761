#include <quiver/collection/collection.hpp>

#include <quiver/collection/verify_path.hpp>

#include "support/policies.hpp"

#include <boost/test/unit_test.hpp>

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>

using namespace quiver;
using namespace quiver::test;

namespace damage {
namespace {

using Files = std::map<std::string, std::string>;

Files read_files(const std::filesystem::path& store) {
  Files out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(store)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    out[std::filesystem::relative(entry.path(), store).string()] = std::string(std::istreambuf_iterator<char>(in), {});
  }
  return out;
}

void write_file(const std::filesystem::path& path, const std::string& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

Schema tiny_schema() { return Schema{Field::string("s").nullable(), Field::int32("n"), VectorField("v", 2).metric(Metric::cosine)}; }

void make_store(const std::filesystem::path& path, int salt, int rows) {
  auto c = Collection<MMapPolicy>::create(path, tiny_schema());
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < rows; ++i)
      c.insert(
          Document{"k" + std::to_string(round * rows + i), {{"s", "text" + std::to_string(i)}, {"n", i + salt}, {"v", {1.0f + static_cast<float>(i), 2.0f}}}});
    c.flush();
  }
}

/// A store, whole, and what it answers.
struct Sample {
  explicit Sample(int salt = 0, int rows = 3) {
    make_store(folder.path(), salt, rows);
    files = read_files(folder.path());
    answer = digest(Collection<MMapReadPolicy>::open(folder.path()), tiny_schema());
  }
  [[nodiscard]] std::filesystem::path path() const { return folder.path(); }
  void restore(const std::string& name) const { write_file(folder.path() / name, files.at(name)); }

  FreshFolder folder;
  Files files;
  std::string answer;
};

/// Where the zeros begin that a log was given room with, but for the first 64, which a record's header would reach; the end of any other file. Of these one
/// place in 61 is damaged: they are all alike, and most of the bytes.
std::size_t padding_of(const std::string& name, const std::string& bytes) {
  if (!name.starts_with("wal-")) return bytes.size();
  return std::min(bytes.size(), bytes.find_last_not_of('\0') + 1 + 64);
}

/// What QUIVER_SWEEP asks for: "2/3" is every third damage, from the second on, of all bits and all lengths; so that several processes share a whole sweep.
/// Without it `make test` stays short with a part of the bits and lengths.
class Sweep {
 public:
  Sweep() {
    const char* asked = std::getenv("QUIVER_SWEEP");
    if (asked == nullptr) return;
    whole_ = true;
    char slash = 0;
    std::istringstream text(asked);
    if (!(text >> part_ >> slash >> parts_) || slash != '/' || part_ < 1 || part_ > parts_)
      throw std::invalid_argument("QUIVER_SWEEP is '" + std::string(asked) + "': use part/parts, as 1/1 or 2/3");
  }
  [[nodiscard]] bool whole() const noexcept { return whole_; }
  [[nodiscard]] std::size_t parts() const noexcept { return parts_; }
  /// Whether the next damage is this process's.
  [[nodiscard]] bool mine() noexcept { return next_++ % parts_ == part_ - 1; }

 private:
  bool whole_ = false;
  std::size_t part_ = 1, parts_ = 1, next_ = 0;
};

enum class Outcome { right_answer, reported, silent };

/// Opens and reads everything; anything but the right answer or a quiver::Error with a cause is `silent`, which is the failure.
template <class P>
Outcome probe(const std::filesystem::path& path, const std::string& answer, const OpenOptions<P>& options) {
  try {
    return digest(Collection<P>::open(path, options), tiny_schema()) == answer ? Outcome::right_answer : Outcome::silent;
  } catch (const Error& e) {
    const bool typed = e.code() == Errc::corruption || e.code() == Errc::version_mismatch || e.code() == Errc::io_error || e.code() == Errc::not_found;
    if (!typed || e.path().empty()) BOOST_TEST_MESSAGE("not a report of damage: " << e.what());
    return typed && !e.path().empty() ? Outcome::reported : Outcome::silent;
  }
}

struct Strict {
  template <class Visit>
  static void each(Visit&& visit) {
    visit("memory", [](const auto& path, const auto& answer) { return probe<MemoryPolicy>(path, answer, {.mode = OpenMode::read_only}); });
    visit("file_read", [](const auto& path, const auto& answer) { return probe<FileReadPolicy>(path, answer, {}); });
    visit("checked_mmap", [](const auto& path, const auto& answer) { return probe<CheckedMMapPolicy>(path, answer, {.mode = OpenMode::read_only}); });
    visit("mmap, verify full", [](const auto& path, const auto& answer) {
      return probe<MMapPolicy>(path, answer, {.mode = OpenMode::read_only, .storage = {.verify = VerifyLevel::full}});
    });
  }
};

/// Under every strict policy the damage is reported or does not matter; plain mmap does not crash, and verify(full) finds what it does not see.
void check_damage(const Sample& sample, const std::string& what) {
  bool any = false;
  Strict::each([&](const char* policy, auto&& open) {
    const auto outcome = open(sample.path(), sample.answer);
    if (outcome == Outcome::silent) BOOST_ERROR(what << " under " << policy << ": neither the right answer nor a typed error");
    any = any || outcome == Outcome::reported;
  });
  try {
    const bool right = digest(Collection<MMapPolicy>::open(sample.path(), {.mode = OpenMode::read_only}), tiny_schema()) == sample.answer;
    if (!right && verify(sample.path()).ok()) BOOST_ERROR(what << ": mmap answers otherwise and verify(full) finds nothing");
  } catch (const Error&) {
    // Reported: what mmap sees at open it tells.
  }
  if (any && verify(sample.path()).ok()) BOOST_ERROR(what << ": reported when read, but verify(full) finds nothing");
}

}  // namespace
}  // namespace damage

BOOST_AUTO_TEST_SUITE(damage)

BOOST_AUTO_TEST_CASE(every_flipped_bit_of_every_file_is_reported_or_does_not_matter) {
  const Sample sample;
  Sweep sweep;
  std::size_t flips = 0;
  for (const auto& [name, bytes] : sample.files) {
    const auto padding = padding_of(name, bytes);
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      const auto at = bit / 8;
      if (at >= padding && bit % (61 * 8) != at % 8) continue;
      // Of each byte one bit, another one in each stretch of eight, so that all are met; every one of them in a whole sweep.
      if (!sweep.whole() && bit % 8 != (at * 5 + at / 8) % 8) continue;
      if (!sweep.mine()) continue;
      auto damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << (bit % 8)));
      write_file(sample.path() / name, damaged);
      check_damage(sample, name + ": bit " + std::to_string(bit));
      ++flips;
    }
    sample.restore(name);
  }
  BOOST_TEST_MESSAGE(flips << " flips");
  BOOST_TEST(flips > (sweep.whole() ? 40'000u : 5'000u) / sweep.parts());
}

BOOST_AUTO_TEST_CASE(every_truncation_is_reported) {
  const Sample sample;
  Sweep sweep;
  std::size_t cuts = 0;
  for (const auto& [name, bytes] : sample.files) {
    if (bytes.empty()) continue;
    // In the middle of a file every 61st length; every one in a whole sweep.
    const auto padding = padding_of(name, bytes);
    for (std::size_t length = 0; length < bytes.size(); length += length < padding && (sweep.whole() || length < 64 || padding - length < 130) ? 1 : 61) {
      if (!sweep.mine()) continue;
      ++cuts;
      write_file(sample.path() / name, bytes.substr(0, length));
      check_damage(sample, name + " cut to " + std::to_string(length));
    }
    write_file(sample.path() / name, bytes + '\0');
    check_damage(sample, name + " grown by a byte");
    sample.restore(name);
  }
  BOOST_TEST_MESSAGE(cuts << " cuts");
  BOOST_TEST(cuts > (sweep.whole() ? 5'000u : 500u) / sweep.parts());
}

BOOST_AUTO_TEST_CASE(a_flipped_bit_of_any_chunk_of_files_with_several_is_reported) {
  const Sample sample(0, 700);
  std::size_t flips = 0;
  for (const auto& [name, bytes] : sample.files) {
    if (!name.starts_with("MANIFEST") && !name.starts_with("seg-000001")) continue;
    for (std::size_t at = 0; at < bytes.size(); at += 397) {
      auto damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
      write_file(sample.path() / name, damaged);
      check_damage(sample, name + ": bit " + std::to_string(at % 8) + " of byte " + std::to_string(at));
      ++flips;
    }
    sample.restore(name);
  }
  BOOST_TEST_MESSAGE(flips << " flips");
  BOOST_TEST(flips > 80u);
}

BOOST_AUTO_TEST_CASE(a_sector_that_was_lost_overwritten_or_shifted_is_reported) {
  constexpr std::size_t sector = 512;
  const Sample sample;
  std::size_t damages = 0;
  for (const auto& [name, bytes] : sample.files) {
    for (std::size_t at = 0; at < bytes.size(); at += sector) {
      const auto length = std::min(sector, bytes.size() - at);
      const auto old = bytes.substr(at, length);
      const auto next = at + length < bytes.size() ? bytes.substr(at + length, length) : old;
      for (const auto& put : {std::string(length, '\0'), std::string(length, '\xFF'), '\0' + old.substr(0, length - 1), next}) {
        auto damaged = bytes;
        damaged.replace(at, put.size(), put);
        if (damaged == bytes) continue;
        write_file(sample.path() / name, damaged);
        check_damage(sample, name + ": sector at " + std::to_string(at));
        ++damages;
      }
    }
    sample.restore(name);
  }
  BOOST_TEST(damages > 60u);
}

BOOST_AUTO_TEST_CASE(files_that_changed_places_or_came_from_another_store_are_recognized) {
  const Sample sample;
  const Sample other(100);
  for (const auto& [name, bytes] : sample.files) {
    for (const auto& [second, second_bytes] : sample.files) {
      if (name >= second || bytes == second_bytes) continue;
      write_file(sample.path() / name, second_bytes);
      write_file(sample.path() / second, bytes);
      check_damage(sample, name + " and " + second + " swapped");
      sample.restore(name);
      sample.restore(second);
    }
    if (!other.files.contains(name) || other.files.at(name) == bytes) continue;
    write_file(sample.path() / name, other.files.at(name));
    check_damage(sample, name + " of another store");
    sample.restore(name);
  }
}

BOOST_AUTO_TEST_CASE(a_missing_file_a_directory_in_its_place_and_an_empty_manifest_are_typed_errors_and_nothing_is_deleted) {
  const Sample sample;
  for (const auto& [name, bytes] : sample.files) {
    if (name == "LOCK") continue;
    std::filesystem::remove(sample.path() / name);
    check_damage(sample, name + " missing");
    std::filesystem::create_directory(sample.path() / name);
    check_damage(sample, name + " is a directory");
    BOOST_TEST(std::filesystem::is_directory(sample.path() / name));
    std::filesystem::remove(sample.path() / name);
    sample.restore(name);
  }
  const auto newest = "MANIFEST_00000000000003";
  write_file(sample.path() / newest, "");
  BOOST_CHECK_EXCEPTION((void)Collection<MMapPolicy>::open(sample.path()), Error, [](const Error& e) {
    return e.code() == Errc::corruption && e.path().filename() == "MANIFEST_00000000000003" && e.offset().has_value();
  });
  for (const auto& [name, bytes] : sample.files) BOOST_TEST(std::filesystem::exists(sample.path() / name), name << " is gone");
}

BOOST_AUTO_TEST_CASE(a_newer_format_is_refused_as_a_version_mismatch) {
  const Sample sample;
  const auto newest = std::string("MANIFEST_00000000000003");
  auto bytes = sample.files.at(newest);
  bytes[8] = static_cast<char>(detail::manifest_format_version + 1);  // the frame's format version
  const auto seed = detail::checksum(detail::as_bytes(std::string_view(bytes).substr(0, detail::manifest_frame_size - 8)), 0);
  const auto sum = detail::checksum(detail::as_bytes(std::string_view(bytes).substr(detail::manifest_frame_size)), seed);
  for (std::size_t i = 0; i < 8; ++i) bytes[detail::manifest_frame_size - 8 + i] = static_cast<char>(sum >> (8 * i));
  write_file(sample.path() / newest, bytes);
  BOOST_CHECK_EXCEPTION((void)Collection<MMapPolicy>::open(sample.path()), Error, [](const Error& e) { return e.code() == Errc::version_mismatch; });
}

BOOST_AUTO_TEST_CASE(verify_names_the_damaged_file_and_offset) {
  const Sample sample;
  const auto name = std::string("seg-000001/blk-000002.vector_index");
  auto bytes = sample.files.at(name);
  bytes[5] = static_cast<char>(bytes[5] ^ 1);
  write_file(sample.path() / name, bytes);
  const auto report = verify(sample.path());
  BOOST_TEST_REQUIRE(!report.ok());
  BOOST_TEST((report.problems[0].code == Errc::corruption));
  BOOST_TEST(report.problems[0].path.filename() == "blk-000002.vector_index");
  BOOST_TEST(report.problems[0].offset.value() == 0u);
  BOOST_TEST(report.problems[0].what.ends_with("; it holds field 'v' of documents 1 to 3"), report.problems[0].what);
  BOOST_TEST(verify(sample.path(), VerifyLevel::directory).ok());
  sample.restore(name);
  const auto clean = verify(sample.path());
  BOOST_TEST(clean.ok());
  BOOST_TEST(clean.files > 5u);
  BOOST_TEST(clean.bytes > 1000u);
}

BOOST_AUTO_TEST_SUITE_END()
