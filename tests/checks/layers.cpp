// Holds the folders of include/quiver to the tables in include/quiver/README.md.
// usage: layers <folder that holds README.md and the rooms>. Prints one line per violation; exit status 1 if there was one.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_lines = 500;

struct Tables {
  std::map<std::string, std::set<std::string>> allowed;      // room -> rooms it may include
  std::map<std::string, std::set<std::string>> quarantined;  // prefix of a third-party include -> rooms that may use it
};

struct File {
  std::string room;                   // empty: an umbrella beside the rooms
  std::vector<std::string> quiver;    // included files of quiver, relative to its folder
  std::vector<std::string> foreign;   // included files of others
  std::vector<std::string> relative;  // includes with quotation marks
  bool has_code = false;
  std::size_t lines = 0;
};

std::string first_part(const std::string& path) {
  const auto slash = path.find('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

Tables read_tables(const fs::path& readme) {
  Tables tables;
  std::ifstream in(readme);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("    ")) continue;
    std::istringstream words(line);
    std::string name, arrow, word;
    words >> name >> arrow;
    if (arrow == "<-" && name.ends_with('/')) {
      name.pop_back();
      // The list of rooms ends at the first word that is not a room of an earlier line: there the description begins.
      std::set<std::string> rooms;
      const auto list_end = line.find("  ", line.find("<-") + 3);
      std::istringstream list(line.substr(line.find("<-") + 2, list_end == std::string::npos ? list_end : list_end - line.find("<-") - 2));
      while (list >> word) rooms.insert(word);
      tables.allowed[name] = std::move(rooms);
    } else if (arrow == "only" && words >> word && word == "in") {
      std::set<std::string> rooms;
      while (words >> word) rooms.insert(word);
      tables.quarantined[name] = std::move(rooms);
    }
  }
  return tables;
}

File read_file(const fs::path& root, const std::string& name) {
  File file;
  file.room = first_part(name);
  std::ifstream in(root / name);
  for (std::string line; std::getline(in, line); ++file.lines) {
    const auto start = line.find_first_not_of(" \t");
    if (start == std::string::npos || line.compare(start, 2, "//") == 0) continue;
    if (line[start] != '#') {
      file.has_code = true;
      continue;
    }
    const auto directive = line.find_first_not_of(" \t", start + 1);
    if (directive == std::string::npos || line.compare(directive, 7, "include") != 0) continue;
    const auto open = line.find_first_of("<\"", directive);
    const auto close = open == std::string::npos ? open : line.find_first_of(">\"", open + 1);
    if (close == std::string::npos) continue;
    std::string target = line.substr(open + 1, close - open - 1);
    if (line[open] == '"') {
      file.relative.push_back(std::move(target));
    } else if (target.starts_with("quiver/")) {
      file.quiver.push_back(target.substr(7));
    } else {
      file.foreign.push_back(std::move(target));
    }
  }
  return file;
}

class Check {
 public:
  explicit Check(fs::path root) : root_(std::move(root)), tables_(read_tables(root_ / "README.md")) {}

  int run() {
    if (tables_.allowed.empty()) report("README.md: no table of rooms found");
    for (const auto& entry : fs::recursive_directory_iterator(root_)) {
      if (!entry.is_regular_file() || entry.path().extension() != ".hpp") continue;
      const std::string name = fs::relative(entry.path(), root_).generic_string();
      files_[name] = read_file(root_, name);
    }
    for (const auto& [room, rooms] : tables_.allowed) {
      if (!fs::is_directory(root_ / room)) report("README.md: names " + room + "/, which does not exist");
      for (const auto& other : rooms) {
        if (!tables_.allowed.contains(other)) report("README.md: " + room + " may include " + other + ", which the table does not name");
      }
    }
    for (const auto& [name, file] : files_) check(name, file);
    for (const auto& [name, file] : files_) visit(name);
    std::cout << files_.size() << " headers, " << tables_.allowed.size() << " rooms, " << violations_ << " violations\n";
    return violations_ == 0 ? 0 : 1;
  }

 private:
  void report(const std::string& sentence) {
    ++violations_;
    std::cout << sentence << '\n';
  }

  void check(const std::string& name, const File& file) {
    const bool umbrella = file.room.empty();
    if (file.lines > most_lines) report(name + ": " + std::to_string(file.lines) + " lines, " + std::to_string(most_lines) + " at most");
    if (!umbrella && !tables_.allowed.contains(file.room)) {
      report(name + ": the table in README.md does not name " + file.room);
      return;
    }
    if (umbrella && file.has_code) report(name + ": an umbrella holds includes only");
    for (const auto& target : file.relative) report(name + ": \"" + target + "\" should be included as <quiver/...>");
    for (const auto& target : file.quiver) {
      const std::string room = first_part(target);
      if (!files_.contains(target)) report(name + ": includes quiver/" + target + ", which does not exist");
      if (umbrella || room == file.room) continue;
      if (!tables_.allowed.at(file.room).contains(room)) report(name + ": " + file.room + " may not include quiver/" + target);
    }
    for (const auto& target : file.foreign) {
      for (const auto& [prefix, rooms] : tables_.quarantined) {
        if (target.starts_with(prefix) && !rooms.contains(file.room))
          report(name + ": " + (umbrella ? "an umbrella" : file.room) + " may not include " + target);
      }
    }
  }

  // Depth first; a file met again on the current path closes a cycle.
  void visit(const std::string& name) {
    if (done_.contains(name) || !files_.contains(name)) return;
    if (const auto met = std::find(path_.begin(), path_.end(), name); met != path_.end()) {
      std::string cycle;
      for (auto step = met; step != path_.end(); ++step) cycle += *step + " -> ";
      report(name + ": includes itself: " + cycle + name);
      return;
    }
    path_.push_back(name);
    for (const auto& target : files_.at(name).quiver) visit(target);
    path_.pop_back();
    done_.insert(name);
  }

  fs::path root_;
  Tables tables_;
  std::map<std::string, File> files_;
  std::set<std::string> done_;
  std::vector<std::string> path_;
  std::size_t violations_ = 0;
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::cerr << "usage: layers <include/quiver>\n";
    return 2;
  }
  return Check(arguments[1]).run();
}
