// What the audit costs and what it finds, on this machine:
//   audit_study durable [FOLDER]   records a second that are on the disk, by group, beside the
//                                  same bytes written and synced without a chain
//   audit_study verify [RECORDS]   verification beside the library's SHA-256 over the same bytes
//   audit_study tamper [TRIALS]    flips, insertions, deletions, swaps and cuts: found and located?
#include <openssl/evp.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "arqon/audit/testing/tamper.h"
#include "arqon/os/disk.h"
#include "arqon/os/process.h"

namespace arqon::audit {
namespace {

namespace fs = std::filesystem;
TimePoint now() { return os::SystemClock().now(); }
double seconds_since(TimePoint begin) { return to_seconds(now() - begin); }

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::unique_ptr<Log> open_log(os::Disk& disk, const fs::path& folder) {
  LogOptions o;
  o.folder = folder;
  o.entropy = std::string(32, 'k') + std::string(32, 'c');
  o.patience = std::chrono::seconds(60);
  auto log = Log::open(disk, o);
  if (!log) {
    std::printf("%s\n", log.error().message.c_str());
    std::exit(8);
  }
  return std::move(*log);
}

// Seconds for `groups` groups of `size` records: one gathers while the one before is on its way.
double chained(Log& log, std::uint64_t size, int groups) {
  const auto begin = now();
  std::uint64_t before = 0, last = 0;
  for (int g = 0; g < groups; ++g) {
    for (std::uint64_t i = 0; i < size; ++i) last = log.append(testing::example(i)).value_or(0);
    if (before > 0 && !log.wait(before)) std::exit(8);
    log.flush();
    before = last;
  }
  if (!log.wait(last)) std::exit(8);
  return seconds_since(begin);
}

// The same bytes with nothing but write and fdatasync.
double bare(os::DiskFile& file, const std::string& bytes, int groups) {
  const auto begin = now();
  for (int g = 0; g < groups; ++g) {
    if (!file.append(bytes) || !file.sync()) std::exit(8);
  }
  return seconds_since(begin);
}

int durable(const fs::path& folder) {
  os::SystemDisk disk;
  fs::remove_all(folder);
  const auto log = open_log(disk, folder / "audit");
  auto file = os::open_durably(disk, folder / "bare");
  if (!file) return 8;
  const std::size_t line =
      encode(testing::example(100), {100, 100, Hash{}, 100}).size() + kTailBytes;
  std::printf("one record is %zu bytes\n%8s %16s %16s %8s\n", line, "group", "records/s",
              "bare fsync", "share");
  for (const std::uint64_t size : {1u, 16u, 64u, 256u, 1024u}) {
    const std::string bytes(line * size, 'x');
    std::vector<double> ours, theirs, share;
    // In turns, so that a disk in a mood hits both.
    for (int round = 0; round < 15; ++round) {
      const int groups = 10;
      const double a = chained(*log, size, groups), b = bare(**file, bytes, groups);
      const auto n = static_cast<double>(size) * groups;
      ours.push_back(n / a);
      theirs.push_back(n / b);
      share.push_back(b / a);
    }
    std::printf("%8llu %16.0f %16.0f %7.1f%%\n", static_cast<unsigned long long>(size),
                median(ours), median(theirs), 100 * median(share));
  }
  (void)log->close();
  fs::remove_all(folder);
  return 0;
}

// The library's own SHA-256 in one stream.
double stream_seconds(const std::string& bytes) {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  std::array<unsigned char, 32> hash{};
  const auto begin = now();
  EVP_DigestInit_ex(context, EVP_sha256(), nullptr);
  EVP_DigestUpdate(context, bytes.data(), bytes.size());
  EVP_DigestFinal_ex(context, hash.data(), nullptr);
  const double seconds = seconds_since(begin);
  EVP_MD_CTX_free(context);
  return seconds;
}

int verify_rate(std::uint64_t records) {
  testing::Chain chain(1);
  LogOptions o;
  o.folder = "long";
  o.entropy = std::string(64, 'x');
  o.threaded = false;
  {
    auto log = Log::open(chain.disk, o);
    for (std::uint64_t i = 0; i < records; ++i) {
      const auto seq = (*log)->append(testing::example(i));
      if (!seq || (i % 1000 == 0 && !(*log)->wait(*seq))) return 8;
    }
    (void)(*log)->close();
  }
  std::string all;
  for (const std::uint64_t s : segments_of(chain.disk, "long")) {
    all += *chain.disk.content(fs::path("long") / segment_name(s));
  }
  std::vector<double> share, ours, theirs;
  for (int round = 0; round < 15; ++round) {
    const double b = stream_seconds(all);
    const auto begin = now();
    const auto verified = verify(chain.disk, "long", {});
    const double a = seconds_since(begin);
    if (!verified || verified->finding || verified->records < records) return 7;
    share.push_back(b / a);
    ours.push_back(static_cast<double>(verified->records) / a);
    theirs.push_back(static_cast<double>(all.size()) / b);
  }
  const double bytes = static_cast<double>(all.size());
  std::printf("%llu records, %.0f MB: %.2f million records/s, %.0f MB/s; SHA-256 alone %.0f MB/s: "
              "%.1f%%\n",
              static_cast<unsigned long long>(records), bytes / 1e6, median(ours) / 1e6,
              median(ours) * bytes / static_cast<double>(records) / 1e6, median(theirs) / 1e6,
              100 * median(share));
  return 0;
}

int tamper(std::uint64_t trials) {
  constexpr std::array kNames{"bit flips", "insertions", "deletions", "swaps", "cuts"};
  testing::Chain chain(200);
  std::array<std::uint64_t, testing::kTamperings> tried{}, located{};
  for (std::uint64_t i = 0; i < trials; ++i) {
    const testing::Trial trial = testing::tamper(chain, Rng(1).stream(i));
    const auto kind = static_cast<std::size_t>(trial.kind);
    ++tried[kind];
    located[kind] += trial.good() ? 1u : 0u;
  }
  bool all = true;
  for (std::size_t k = 0; k < kNames.size(); ++k) {
    std::printf("%-12s %6llu tried, %6llu found at the right record\n", kNames[k],
                static_cast<unsigned long long>(tried[k]),
                static_cast<unsigned long long>(located[k]));
    all = all && tried[k] == located[k];
  }
  return all ? 0 : 1;
}

}  // namespace
}  // namespace arqon::audit

namespace {
std::uint64_t number_in(const std::string& word, std::uint64_t otherwise) {
  return word.empty() ? otherwise : std::strtoull(word.c_str(), nullptr, 10);
}
}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  const std::string word = argc > 2 ? argv[2] : "";
  if (what == "durable") return arqon::audit::durable(word.empty() ? "build/audit_study" : word);
  if (what == "verify") {
    return arqon::audit::verify_rate(number_in(word, 200'000));
  }
  if (what == "tamper") {
    return arqon::audit::tamper(number_in(word, 20'000));
  }
  std::printf("usage: audit_study durable [FOLDER] | verify [RECORDS] | tamper [TRIALS]\n");
  return 2;
}
