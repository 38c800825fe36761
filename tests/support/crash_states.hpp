// The disks that a crash may leave: which of the things that no sync covers are there, whole, in part or not at all.
#pragma once

#include "support/recorded_disk.hpp"

#include <cstdint>
#include <limits>
#include <map>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace quiver::test {

/// What became of one op. Names are absent or present; a write may also be there in part: its length with zeros or with what the device held before, its
/// bytes up to `a`, its bytes from `a` on, or all but those from `a` to `b`.
struct Fate {
  enum class Kind : std::uint8_t { absent, present, zeros, stale, prefix, suffix, gap };
  Kind kind = Kind::absent;
  std::uint32_t a = 0, b = 0;
};
using Fates = std::vector<Fate>;

inline constexpr Fate absent{Fate::Kind::absent}, present{Fate::Kind::present}, zeros{Fate::Kind::zeros}, stale{Fate::Kind::stale};

/// One character per op, and the cuts of a write behind it: what a report prints.
[[nodiscard]] inline std::string to_string(const Fates& fates) {
  std::string text;
  for (const auto& fate : fates) {
    text += "01zspxg"[static_cast<std::size_t>(fate.kind)];
    if (fate.kind >= Fate::Kind::prefix) text += "(" + std::to_string(fate.a) + (fate.kind == Fate::Kind::gap ? "-" + std::to_string(fate.b) : "") + ")";
  }
  return text;
}

/// The fates that to_string() said; throws where the text is none.
[[nodiscard]] inline Fates parse_fates(const std::string& text) {
  Fates fates;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto kind = std::string_view("01zspxg").find(text[at]);
    if (kind == std::string_view::npos) throw std::invalid_argument("'" + text + "' is no row of fates: '" + text[at] + "'");
    auto& fate = fates.emplace_back();
    fate.kind = static_cast<Fate::Kind>(kind);
    if (fate.kind < Fate::Kind::prefix) continue;
    const auto end = text.find(')', at);
    std::istringstream cuts(text.substr(at + 1, end - at));
    char open = 0, dash = 0;
    if (end == std::string::npos || !(cuts >> open >> fate.a) || (fate.kind == Fate::Kind::gap && !(cuts >> dash >> fate.b)))
      throw std::invalid_argument("'" + text + "' is no row of fates: a cut is missing");
    at = end;
  }
  return fates;
}

inline constexpr std::size_t never = std::numeric_limits<std::size_t>::max();

/// For each op of the log the sync that makes it durable: it does if it lies before the crash.
[[nodiscard]] inline std::vector<std::size_t> durable_at(const std::vector<Op>& log) {
  std::vector<std::size_t> at(log.size(), never);
  for (std::size_t i = 0; i < log.size(); ++i) {
    if (!log[i].changes() || log[i].lost) continue;
    for (auto j = i + 1; j < log.size() && at[i] == never; ++j)
      if (log[i].covered_by(log[j])) at[i] = j;
  }
  return at;
}

/// Writes as much of an op as its fate says.
inline void write_fated(Inode& inode, const Op& op, const Fate& fate) {
  const ByteSpan bytes(op.bytes);
  const auto old = inode.bytes.size();
  const auto extend = [&] {
    if (inode.bytes.size() < op.offset + bytes.size()) inode.bytes.resize(static_cast<std::size_t>(op.offset) + bytes.size());
  };
  switch (fate.kind) {
    case Fate::Kind::absent:
      break;
    case Fate::Kind::present:
      overwrite(inode, op.offset, bytes);
      break;
    case Fate::Kind::zeros:
      extend();
      break;
    case Fate::Kind::stale:
      extend();
      for (auto i = std::max<std::size_t>(old, static_cast<std::size_t>(op.offset)); i < inode.bytes.size(); ++i)
        inode.bytes[i] = static_cast<std::byte>(0xA5 ^ (i * 37));
      break;
    case Fate::Kind::prefix:
      overwrite(inode, op.offset, bytes.first(std::min<std::size_t>(fate.a, bytes.size())));
      break;
    case Fate::Kind::suffix: {
      const auto from = std::min<std::size_t>(fate.a, bytes.size());
      extend();
      overwrite(inode, op.offset + from, bytes.subspan(from));
      break;
    }
    case Fate::Kind::gap: {
      const auto from = std::min<std::size_t>(fate.a, bytes.size()), to = std::min<std::size_t>(fate.b, bytes.size());
      extend();
      overwrite(inode, op.offset, bytes.first(from));
      overwrite(inode, op.offset + to, bytes.subspan(to));
      break;
    }
  }
}

/// The disk after the first fates.size() ops of a log that began with `base`.
[[nodiscard]] inline InodePtr disk_after(const InodePtr& base, const std::vector<Op>& log, const Fates& fates) {
  Inodes inodes;
  const auto root = copy_tree(base, inodes);
  const auto inode = [&inodes](std::uint64_t number, EntryKind kind) -> Inode& {
    auto& found = inodes[number];
    if (!found) found = std::make_shared<Inode>(Inode{number, kind});
    return *found;
  };
  for (std::size_t i = 0; i < fates.size(); ++i) {
    const auto& op = log[i];
    using enum Op::Action;
    if (op.action == create || op.action == make_folder) inode(op.inode, op.action == create ? EntryKind::file : EntryKind::folder);
    if (op.action == allocate) {
      auto& bytes = inode(op.inode, EntryKind::file).bytes;
      if (fates[i].kind != Fate::Kind::absent) bytes.resize(std::max<std::size_t>(bytes.size(), static_cast<std::size_t>(op.offset) + op.length));
      continue;
    }
    if (op.action == write) {
      write_fated(inode(op.inode, EntryKind::file), op, fates[i]);
      continue;
    }
    if (!op.changes_names() || fates[i].kind == Fate::Kind::absent) continue;
    auto& names = inode(op.folder, EntryKind::folder).names;
    if (op.action == rename) names.erase(op.from);
    if (op.action == remove || op.action == remove_folder)
      names.erase(op.name);
    else
      names[op.name] = inodes.at(op.inode);
  }
  return root;
}

/// The fates of a crash after `count` ops with all that is pending absent: what is durable for certain.
[[nodiscard]] inline Fates durable_fates(const std::vector<std::size_t>& durable, std::size_t count) {
  Fates fates(count);
  for (std::size_t i = 0; i < count; ++i)
    if (durable[i] < count) fates[i] = present;
  return fates;
}

/// How many states a crash point gives at most, by family.
struct Budget {
  std::size_t exhaustive = 512;  // as many combinations: all of them
  std::size_t pairs = 64;
  std::size_t random = 64;
  bool torn = true;  // the last write of each file in part, too
};

/// Calls visit(fates) for legal states of a crash after the first `count` ops: all combinations where they are few, else none, all, every prefix in order, one
/// missing, one alone, names without data and data without names, file by file, pairs, random ones; and in both cases the last pending write of each file torn
/// at every 512 bytes and at places where headers are cut. Stops where visit answers false, and then answers false.
template <class Visit>
bool for_each_crash(const std::vector<Op>& log, const std::vector<std::size_t>& durable, std::size_t count, const Budget& budget, std::mt19937_64& random,
                    Visit&& visit) {
  auto fates = durable_fates(durable, count);
  std::vector<std::size_t> pending;
  for (std::size_t i = 0; i < count; ++i)
    if (log[i].changes() && durable[i] >= count) pending.push_back(i);
  const auto is_write = [&](std::size_t i) { return log[i].action == Op::Action::write; };
  const auto set = [&](auto&& fate_of) {
    for (const auto i : pending) fates[i] = fate_of(i);
  };
  const auto set_all = [&](Fate fate) { set([fate](std::size_t) { return fate; }); };
  const auto show = [&] { return visit(std::as_const(fates)); };

  std::size_t combinations = 1;
  for (const auto i : pending) combinations = std::min(combinations * (is_write(i) ? 3 : 2), budget.exhaustive + 1);
  if (combinations <= budget.exhaustive) {
    for (std::size_t c = 0; c < combinations; ++c) {
      auto rest = c;
      set([&](std::size_t i) {
        const std::size_t choices = is_write(i) ? 3 : 2;
        const auto choice = rest % choices;
        rest /= choices;
        return Fate{static_cast<Fate::Kind>(choice)};
      });
      if (!show()) return false;
    }
  } else {
    set_all(present);
    if (!show()) return false;
    set_all(absent);
    if (!show()) return false;
    for (const auto i : pending) {
      fates[i] = present;
      if (!show()) return false;
    }
    for (const auto one : pending) {
      for (const auto fate : {absent, zeros}) {
        if (fate.kind == Fate::Kind::zeros && !is_write(one)) continue;
        set_all(present);
        fates[one] = fate;
        if (!show()) return false;
      }
      set_all(absent);
      fates[one] = present;
      if (!show()) return false;
    }
    for (const auto data : {absent, zeros, stale, present})
      for (const auto names : {present, absent}) {
        set([&](std::size_t i) { return is_write(i) ? data : names; });
        if (!show()) return false;
      }
    std::map<std::uint64_t, bool> inodes;
    for (const auto i : pending) inodes[log[i].inode] = true;
    for (const auto& [inode, unused] : inodes)
      for (const bool alone : {true, false}) {
        set([&, number = inode](std::size_t i) { return (log[i].inode == number) == alone ? present : absent; });
        if (!show()) return false;
      }
    std::size_t pairs = 0;
    for (std::size_t a = 0; a < pending.size() && pairs < budget.pairs; ++a)
      for (auto b = a + 1; b < pending.size() && pairs < budget.pairs; ++b, ++pairs)
        for (const bool missing : {true, false}) {
          set_all(missing ? present : absent);
          fates[pending[a]] = fates[pending[b]] = missing ? absent : present;
          if (!show()) return false;
        }
    for (std::size_t r = 0; r < budget.random; ++r) {
      set([&](std::size_t i) { return is_write(i) ? Fate{static_cast<Fate::Kind>(random() % 4)} : random() % 2 == 0 ? absent : present; });
      if (!show()) return false;
    }
  }

  if (!budget.torn) return true;
  std::map<std::uint64_t, std::size_t> last_write;
  for (const auto i : pending)
    if (is_write(i)) last_write[log[i].inode] = i;
  for (const auto& [inode, last] : last_write) {
    const auto size = static_cast<std::uint32_t>(log[last].bytes.size());
    std::vector<std::uint32_t> cuts;
    for (auto at = (log[last].offset / 512 + 1) * 512; at < log[last].offset + size; at += 512)
      cuts.push_back(static_cast<std::uint32_t>(at - log[last].offset));
    const auto units = cuts.size();
    for (const std::uint32_t at : {1u, 3u, 4u, 5u, 11u, 12u, 13u, 19u, 20u, 21u, 27u, 28u, 29u, 35u, 36u, 37u, size / 2, size - 1})
      if (at < size) cuts.push_back(at);
    for (const auto others : {absent, present}) {
      set([&, number = inode](std::size_t i) { return log[i].inode == number && is_write(i) ? present : others; });
      const auto torn = [&](Fate fate) {
        fates[last] = fate;
        return show();
      };
      for (const auto at : cuts)
        if (!torn({Fate::Kind::prefix, at}) || !torn({Fate::Kind::suffix, at})) return false;
      for (std::size_t unit = 0; unit < units; ++unit)
        if (!torn({Fate::Kind::gap, unit == 0 ? 0 : cuts[unit - 1], cuts[unit]})) return false;
    }
  }
  return true;
}

}  // namespace quiver::test
