// Every way to tamper with a chain that the audit must find and locate, drawn at random.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "arqon/audit/log.h"
#include "arqon/audit/verify.h"
#include "arqon/base/rng.h"
#include "arqon/testing/sim_disk.h"

namespace arqon::audit::testing {

inline const std::filesystem::path kChainFolder = "audit";

inline Record example(std::uint64_t i) {
  Record r{.epoch = 1, .generation = i, .mono_ns = static_cast<std::int64_t>(i) * 1'000'000'000,
           .wall_ns = 1'700'000'000'000'000'000 + static_cast<std::int64_t>(i)};
  r.actor = "tuner";
  r.action = "intent";
  r.before = {256, 0.1 * static_cast<double>(i), 8192};
  r.after = {128, 0.1 * static_cast<double>(i) + 0.05, 4096};
  r.reason = "code: 3.10 % of 912 requests broke a limit, most often gap; half the batch";
  r.note = wire::Object{{"lane", "experiment"}, {"decision", i}};
  return r;
}

// A chain over several segments on a disk in memory, and a checkpoint of its end.
struct Chain {
  arqon::testing::SimDisk disk;
  std::vector<std::vector<std::string>> segments;  // lines, with their ends
  std::vector<Checkpoint> kept;                     // elsewhere
  std::uint64_t records = 0;

  explicit Chain(std::uint64_t n) {
    LogOptions o;
    o.folder = kChainFolder;
    o.entropy = std::string(32, 'k') + std::string(32, 'c');
    o.threaded = false;
    o.segment_bytes = 20'000;
    o.on_checkpoint = [this](std::string_view line) { kept.push_back(*read_checkpoint(line)); };
    auto log = Log::open(disk, o);
    for (std::uint64_t i = 0; i < n; ++i) (void)(*log)->write(example(i));
    (void)(*log)->close();
    disk.content(kChainFolder / "checkpoints")->clear();
    for (const std::uint64_t s : segments_of(disk, kChainFolder)) {
      segments.emplace_back();
      const std::string& text = *file(s);
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = text.find('\n', at) + 1;
        segments.back().push_back(text.substr(at, end - at));
        at = end;
        ++records;
      }
    }
  }

  std::string* file(std::uint64_t segment) {
    return disk.content(kChainFolder / segment_name(segment));
  }
  void write(const std::vector<std::vector<std::string>>& lines) {
    for (std::size_t s = 0; s < lines.size(); ++s) {
      std::string& text = *file(s + 1);
      text.clear();
      for (const std::string& line : lines[s]) text += line;
    }
  }
  Verified look() {
    VerifyOptions options;
    options.against = kept;
    return verify(disk, kChainFolder, options).value_or(Verified{});
  }
};

enum class Tampering : std::uint8_t { kFlip, kInsert, kDelete, kSwap, kCut };
inline constexpr std::size_t kTamperings = 5;

struct Trial {
  Tampering kind = Tampering::kFlip;
  std::uint64_t expected = 0;  // the first record that is not as it was
  std::optional<Finding> found;
  bool good() const { return found && found->seq == expected; }
};

// Tampers once, looks, and puts the chain back.
inline Trial tamper(Chain& chain, Rng rng) {
  Trial trial{static_cast<Tampering>(rng.below(kTamperings)), 0, {}};
  auto lines = chain.segments;
  const std::size_t s = rng.below(lines.size());
  auto& here = lines[s];
  std::uint64_t before = 0;  // records in earlier segments
  for (std::size_t i = 0; i < s; ++i) before += lines[i].size();
  std::size_t i = rng.below(here.size());
  trial.expected = before + i + 1;
  switch (trial.kind) {
    case Tampering::kFlip: {
      char& c = here[i][rng.below(here[i].size())];
      c = static_cast<char>(c ^ (1 << rng.below(8)));
      break;
    }
    case Tampering::kInsert: {
      const std::size_t from = rng.below(here.size());
      if (from == i) ++trial.expected;  // the copy is the second of the two
      const std::string copy = here[from];
      here.insert(here.begin() + static_cast<std::ptrdiff_t>(i), copy);
      break;
    }
    case Tampering::kDelete:
      here.erase(here.begin() + static_cast<std::ptrdiff_t>(i));
      break;
    case Tampering::kSwap: {
      std::size_t j = rng.below(here.size() - 1);
      if (j >= i) ++j;
      std::swap(here[i], here[j]);
      trial.expected = before + std::min(i, j) + 1;
      break;
    }
    case Tampering::kCut: {
      // Everything from a byte of line i on is gone, later segments too.
      const std::size_t kept = rng.below(here[i].size());
      here.resize(i + 1);
      here[i].resize(kept);
      for (std::size_t later = s + 1; later < lines.size(); ++later) lines[later].clear();
      break;
    }
  }
  chain.write(lines);
  trial.found = chain.look().finding;
  chain.write(chain.segments);
  return trial;
}

}  // namespace arqon::audit::testing
