// What must be true of a Version whatever bytes it came from; checked after reading and before writing.
#pragma once

#include <quiver/manifest/version.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace quiver::detail {

inline constexpr std::size_t max_note_size = 256;  // bytes of preferred_policy and library_version

/// Finds the first thing that is wrong with a version and says it in one sentence; empty if nothing is. One thread, one use.
class VersionCheck {
 public:
  explicit VersionCheck(const Version& version) : version_(version) {}

  [[nodiscard]] std::string fault() {
    if (auto text = head(); !text.empty()) return text;
    if (auto text = segments(); !text.empty()) return text;
    if (auto text = id_runs(); !text.empty()) return text;
    if (auto text = deletes(); !text.empty()) return text;
    return uniqueness();
  }

 private:
  [[nodiscard]] std::string head() const {
    const auto& v = version_;
    if (v.number == 0) return "version 0 cannot be";
    if (v.parent >= v.number) return "version " + std::to_string(v.number) + " has the parent " + std::to_string(v.parent);
    if (v.store_id == FileId{}) return "the store has no id";
    if (v.segment_rows == 0) return "segments are to hold no rows";
    if (v.retain_versions == 0) return "no version is to be kept";
    if (v.retain_age_seconds < 0) return "versions are kept for " + std::to_string(v.retain_age_seconds) + " seconds";
    if (v.preferred_policy.size() > max_note_size) return "the name of the preferred policy is too long";
    if (v.library_version.size() > max_note_size) return "the library's version is too long";
    if ((v.log.number == 0) != (v.log.id == FileId{})) return "a log has both a number and an id, or neither";
    if (v.durability > Durability::none) return "the durability " + std::to_string(static_cast<unsigned>(v.durability)) + " is unknown";
    if (v.continues && v.parent == 0) return "the first version cannot continue another";
    if (v.continues && std::all_of(v.retained.begin(), v.retained.end(), [](const auto& kept) { return kept.continues; }))
      return "the version that is continued is not retained";
    std::uint64_t before = 0;
    for (const auto& kept : v.retained) {
      if (kept.number <= before || kept.number >= v.number) return "retained version " + std::to_string(kept.number) + " is out of order";
      if (kept.continues && kept.number == 1) return "the first version cannot continue another, and retained version 1 does";
      before = kept.number;
    }
    return {};
  }

  [[nodiscard]] std::string segments() {
    std::uint64_t rows = 0;
    for (const auto& segment : version_.segments) {
      const auto name = segment_folder(segment.id);
      if (segment.id.value >= version_.next_segment) return name + " is not below the next segment number " + std::to_string(version_.next_segment);
      if (segment.blocks.empty()) return name + " has no blocks";
      if (!segment.sealed && &segment != &version_.segments.back()) return name + " is unsealed and not the last";
      ids_.push_back(segment.id.value);
      const auto vectors = version_.schema.vectors().size();
      if (segment.blocks.size() % (1 + vectors) != 0)
        return name + " has " + std::to_string(segment.blocks.size()) + " blocks where every flush makes " + std::to_string(1 + vectors);
      for (std::size_t i = 0; i < segment.blocks.size(); i += 1 + vectors) {
        if (auto text = flushed(segment, i); !text.empty()) return text;
        rows += segment.blocks[i].rows;  // cannot overflow: the ranges of document ids are disjoint and hold the rows
      }
    }
    const auto deleted = version_.deletes.count;
    if (deleted > rows || rows - deleted != version_.documents)
      return "the blocks hold " + std::to_string(rows) + " documents, the manifest counts " + std::to_string(version_.documents) + " and " +
             std::to_string(deleted) + " deleted ones";
    std::sort(ids_.begin(), ids_.end());
    if (const auto twin = std::adjacent_find(ids_.begin(), ids_.end()); twin != ids_.end()) return segment_folder(SegmentId{*twin}) + " is there twice";
    return {};
  }

  // One scalar block at `at` and the vector blocks behind it.
  [[nodiscard]] std::string flushed(const SegmentRef& segment, std::size_t at) {
    const auto& scalar = segment.blocks[at];
    const auto& vectors = version_.schema.vectors();
    for (std::size_t i = 0; i <= vectors.size(); ++i) {
      const auto& block = segment.blocks[at + i];
      const auto type = i == 0 ? BlockType::scalar : BlockType::vector_index;
      const auto field = i == 0 ? std::string_view() : std::string_view(vectors[i - 1].name());
      const auto name = parse_block_name(block.file.name);
      if (!name || name->segment != segment.id || name->type != block.type)
        return quoted(block.file.name) + " is no name for a block of " + segment_folder(segment.id);
      if (name->number >= version_.next_block) return quoted(block.file.name) + " is not below the next block number " + std::to_string(version_.next_block);
      if (block.type != type || block.field != field)
        return quoted(block.file.name) + " is not the block of " + (i == 0 ? "the scalars" : quoted(field)) + " that belongs here";
      if (block.rows != scalar.rows || block.first != scalar.first || block.last != scalar.last)
        return quoted(block.file.name) + " does not hold the rows of its scalar block";
      if (auto text = file(block.file); !text.empty()) return text;
      if (auto text = beside(segment, block, block.graph, BlockType::vector_graph); !text.empty()) return text;
      if (auto text = beside(segment, block, block.codes, BlockType::vector_quant); !text.empty()) return text;
    }
    if (scalar.first > scalar.last || scalar.last.value >= version_.next_doc_id || scalar.rows == 0 || scalar.rows - 1 > scalar.last.value - scalar.first.value)
      return quoted(scalar.file.name) + " has " + std::to_string(scalar.rows) + " rows of documents " + std::to_string(scalar.first.value) + " to " +
             std::to_string(scalar.last.value) + ", the next id being " + std::to_string(version_.next_doc_id);
    if (any_ && scalar.first <= last_)
      return quoted(scalar.file.name) + " begins with document " + std::to_string(scalar.first.value) + ", the block before it ends with " +
             std::to_string(last_.value);
    any_ = true;
    last_ = scalar.last;
    return {};
  }

  // What stands beside a vector block and speaks of the same rows.
  [[nodiscard]] std::string beside(const SegmentRef& segment, const BlockRef& block, const FileRef& ref, BlockType type) {
    if (ref == FileRef{}) return {};
    const auto name = parse_block_name(ref.name);
    if (!name || name->segment != segment.id || name->type != type || block.type != BlockType::vector_index)
      return quoted(ref.name) + " is no name for what stands beside a vector block of " + segment_folder(segment.id);
    if (name->number >= version_.next_block) return quoted(ref.name) + " is not below the next block number " + std::to_string(version_.next_block);
    return file(ref);
  }

  [[nodiscard]] std::string id_runs() {
    for (const auto& run : version_.id_runs) {
      const auto number = parse_run_name(run.name);
      if (!number) return quoted(run.name) + " is no name for a run of the id map";
      if (*number >= version_.next_run) return quoted(run.name) + " is not below the next run number " + std::to_string(version_.next_run);
      if (auto text = file(run); !text.empty()) return text;
    }
    return {};
  }

  [[nodiscard]] std::string deletes() {
    const auto& ref = version_.deletes.file;
    if (ref == FileRef{}) return version_.deletes.count == 0 ? std::string() : "documents are deleted, and no file says which";
    const auto number = parse_deletes_name(ref.name);
    if (!number) return quoted(ref.name) + " is no name for a file of the delete store";
    if (*number >= version_.next_deletes) return quoted(ref.name) + " is not below the next number of deletes " + std::to_string(version_.next_deletes);
    return file(ref);
  }

  [[nodiscard]] std::string file(const FileRef& ref) {
    if (ref.identity.id == FileId{}) return quoted(ref.name) + " has no id";
    if (ref.identity.length < trailer_size + tail_frame_size)
      return quoted(ref.name) + " has a length of " + std::to_string(ref.identity.length) + ", less than any file of ours";
    files_.push_back(&ref);
    return {};
  }

  [[nodiscard]] std::string uniqueness() {
    const auto twin = [this](auto less) {
      std::sort(files_.begin(), files_.end(), less);
      const auto at = std::adjacent_find(files_.begin(), files_.end(), [&less](const FileRef* a, const FileRef* b) { return !less(a, b); });
      return at == files_.end() ? nullptr : *at;
    };
    if (const auto *ref = twin([](const FileRef* a, const FileRef* b) { return a->name < b->name; })) return quoted(ref->name) + " is there twice";
    const auto by_id = [](const FileRef* a, const FileRef* b) {
      const auto& x = a->identity.id;
      const auto& y = b->identity.id;
      return x.high < y.high || (x.high == y.high && x.low < y.low);
    };
    if (const auto* ref = twin(by_id)) return quoted(ref->name) + " shares its file id with another file";
    return {};
  }

  // What stands in a damaged file may be long and may be anything.
  [[nodiscard]] static std::string quoted(std::string_view text) {
    std::string out = "'";
    for (const char c : text.substr(0, 64)) out += c >= 0x20 && c < 0x7F ? c : '?';
    return out + (text.size() > 64 ? "...'" : "'");
  }

  const Version& version_;
  std::vector<std::uint64_t> ids_;
  std::vector<const FileRef*> files_;
  bool any_ = false;
  DocId last_;
};

/// What is wrong with a version, in one sentence; empty if nothing is.
[[nodiscard]] inline std::string find_fault(const Version& version) { return VersionCheck(version).fault(); }

}  // namespace quiver::detail
