// Whether the recorded disk sees all that the system sees: the same writes, once on it and once on real files under strace, must be the same row of calls.

#include "crash/story.hpp"
#include "support/calls_of.hpp"
#include "support/temp_folder.hpp"

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <set>

#include <sys/wait.h>

using namespace quiver;
using namespace quiver::test;

namespace {

// What changes files or makes changes durable; those that quiver does not use are here so that they are seen if it ever does.
constexpr const char* traced =
    "?open,openat,?openat2,?creat,?mkdir,mkdirat,write,pwrite64,writev,?pwritev,?pwritev2,fallocate,ftruncate,truncate,fsync,fdatasync,?sync_file_range,?"
    "syncfs,"
    "?sync,msync,?rename,?renameat,renameat2,?link,linkat,?symlink,symlinkat,?unlink,unlinkat,?rmdir,?copy_file_range,?sendfile,mmap";

template <class C>
void tell_story(const std::filesystem::path& path) {
  auto collection = std::make_unique<C>(C::create(path, crash_schema()));
  Story story(11);
  for (int step = 0; step < 150; ++step) carry_out(story.next(), collection, path);
}

Strings recorded_calls() {
  RecordingFileSystem::reset();
  tell_story<Collection<BasicMMapPolicy<RecordingFileSystem>>>("/store");
  return calls_of(RecordingFileSystem::log());
}

/// One line of strace -f -y -s 0: PID NAME(ARGUMENT, ...) = RESULT
struct Line {
  std::string name, result;
  Strings arguments;

  explicit Line(const std::string& text) {
    const auto open = text.find('('), close = text.rfind(") = ");
    if (open == std::string::npos || close == std::string::npos) return;
    result = text.substr(close + 4);
    if (result.starts_with("-1") || result.starts_with('?')) return;
    const auto begin = text.find_last_of(' ', open) + 1;
    name = text.substr(begin, open - begin);
    for (auto at = open + 1; at < close;) {
      const auto end = std::min(text.find(", ", at), close);
      arguments.push_back(text.substr(at, end - at));
      at = end + 2;
    }
  }
  /// Of a descriptor's argument or of a quoted one.
  [[nodiscard]] std::string path(std::size_t n) const {
    const auto& argument = arguments.at(n);
    const bool quoted = argument.starts_with('"');
    const auto begin = argument.find(quoted ? '"' : '<') + 1;
    return begin == 0 ? "" : argument.substr(begin, argument.rfind(quoted ? '"' : '>') - begin);
  }
  /// Of a folder's descriptor and a name in it.
  [[nodiscard]] std::string path(std::size_t folder, std::size_t in) const {
    const auto inner = path(in);
    return inner.starts_with('/') ? inner : path(folder) + "/" + inner;
  }
};

Strings real_calls(const std::filesystem::path& trace, const std::string& root) {
  Strings calls;
  std::set<std::string> there;
  std::ifstream in(trace);
  for (std::string text; std::getline(in, text);) {
    if (text.find(root) == std::string::npos) continue;
    const Line line(text);
    if (line.name.empty()) continue;
    const auto& arguments = line.arguments;
    const auto add = [&](std::string what, std::string path, const std::string& more = {}) { calls.push_back(what + " " + path.substr(root.size()) + more); };
    const auto says = [&](std::size_t n, std::string_view flag) { return arguments.at(n).find(flag) != std::string::npos; };
    if (line.name == "openat") {
      const auto path = line.path(0, 1);
      if (says(2, "O_CREAT") && there.insert(path).second)
        add("create", path);
      else if (says(2, "O_TRUNC") || (!says(2, "O_RDONLY") && !path.ends_with("/LOCK")))
        calls.push_back("unexpected: " + text);
    } else if (line.name == "mkdir") {
      add("make folder", line.path(0));
    } else if (line.name == "mkdirat") {
      add("make folder", line.path(0, 1));
    } else if (line.name == "pwrite64") {
      add("write", line.path(0), " from " + arguments.at(3) + ", " + line.result + " bytes");
    } else if (line.name == "fallocate") {
      add("allocate", line.path(0), " from " + arguments.at(2) + ", " + arguments.at(3) + " bytes");
    } else if (line.name == "fdatasync" || line.name == "fsync") {
      add(line.name, line.path(0));
    } else if (line.name == "renameat2" || line.name == "linkat") {
      add(line.name == "linkat" ? "link" : "rename", line.path(0, 1), " to " + line.path(2, 3).substr(root.size()));
      there.insert(line.path(2, 3));
      if (line.name == "renameat2") there.erase(line.path(0, 1));
    } else if (line.name == "unlinkat") {
      add(says(2, "AT_REMOVEDIR") ? "remove folder" : "remove", line.path(0, 1));
      there.erase(line.path(0, 1));
    } else if (line.name != "mmap" || (says(2, "PROT_WRITE") && says(3, "MAP_SHARED"))) {
      calls.push_back("unexpected: " + text);
    }
  }
  return calls;
}

int compare(const std::string& self) {
  const TempFolder folder;
  const auto trace = folder / "trace";
  const auto root = std::filesystem::canonical(folder.path()) / "disk";
  std::filesystem::create_directory(root);
  if (std::system("strace -o /dev/null true >/dev/null 2>&1") != 0) {
    std::cout << "syscalls: strace is not there or may not trace; nothing was compared\n";
    return 77;
  }
  const auto command = "strace -f -y -s 0 -o " + trace.string() + " -e trace=" + traced + " '" + self + "' " + (root / "store").string();
  if (std::system(command.c_str()) != 0) throw std::runtime_error("'" + command + "' failed");

  const auto recorded = recorded_calls(), real = real_calls(trace, root.string());
  std::set<std::string> kinds;
  for (const auto& call : recorded) kinds.insert(call.substr(0, call.find(" /")));
  const auto [mine, theirs] = std::mismatch(recorded.begin(), recorded.end(), real.begin(), real.end());
  if (mine != recorded.end() || theirs != real.end()) {
    std::cout << "call " << mine - recorded.begin() + 1 << " differs\n  the recorder: " << (mine == recorded.end() ? "nothing" : *mine)
              << "\n  the system:   " << (theirs == real.end() ? "nothing" : *theirs) << '\n';
    return 1;
  }
  std::cout << recorded.size() << " calls of " << kinds.size() << " kinds are the same\n";
  return recorded.size() > 300 && kinds.size() >= 8 ? 0 : 1;
}

}  // namespace

/// With a path: tells the story there. Without: compares.
int main(int argc, char** argv) {
  try {
    if (argc == 1) return compare(std::filesystem::read_symlink("/proc/self/exe").string());
    tell_story<Collection<MMapPolicy>>(argv[1]);
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "syscalls: " << e.what() << '\n';
    return 1;
  }
}
