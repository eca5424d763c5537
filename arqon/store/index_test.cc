#include "arqon/store/index.h"

#include <gtest/gtest.h>

#include "arqon/audit/testing/tamper.h"
#include "arqon/store/testing/faulty_vfs.h"
#include "arqon/testing/sim_disk.h"

namespace arqon::store {
namespace {

using testing::FaultyVfs;
using arqon::testing::SimDisk;

const std::filesystem::path kFolder = "audit";

// A chain that grows.
struct Chain {
  SimDisk disk;
  std::uint64_t next = 0;

  void grow(std::uint64_t n, char id = 'c') {
    audit::LogOptions o;
    o.folder = kFolder;
    o.entropy = std::string(32, 'k') + std::string(32, id);
    o.threaded = false;
    auto log = audit::Log::open(disk, o);
    ASSERT_TRUE(log.has_value());
    audit::Record begin;
    begin.action = "begin";
    begin.actor = "tuner";
    begin.note = wire::Object{{"knobs", wire::Array{"a", "b", "c"}}};
    (void)(*log)->append(begin);
    for (std::uint64_t i = 0; i < n; ++i) (void)(*log)->write(audit::testing::example(next++));
    ASSERT_TRUE((*log)->close().has_value());
  }
  std::vector<std::string> lines() {
    std::vector<std::string> out;
    audit::VerifyOptions o;
    o.on_line = [&](std::uint64_t, std::string_view json, std::string_view) {
      out.emplace_back(json);
    };
    EXPECT_TRUE(audit::verify(disk, kFolder, o).has_value());
    return out;
  }
};

TEST(Index, holds_what_the_chain_holds_and_answers_what_is_asked) {
  FaultyVfs vfs("index-test-1");
  Chain chain;
  chain.grow(20);
  auto index = Index::open("state.db", "index-test-1");
  ASSERT_TRUE(index.has_value()) << index.error().message;
  ASSERT_TRUE(index->follow(chain.disk, kFolder).has_value());
  EXPECT_EQ(*index->find({}), chain.lines());
  chain.grow(5);
  ASSERT_TRUE(index->follow(chain.disk, kFolder).has_value());
  EXPECT_EQ(*index->find({}), chain.lines());
  EXPECT_EQ(index->find({.action = "begin"})->size(), 2u);
  EXPECT_EQ(index->find({.knob = "a"})->size(), 25u) << "256 -> 128 each time";
  EXPECT_EQ(index->find({.knob = "\"; DROP TABLE records; --"})->size(), 0u);
  EXPECT_EQ(index->find({.limit = 3})->size(), 3u);
  EXPECT_EQ(index->find({.limit = 3})->back(), chain.lines().back());
  EXPECT_EQ(index->find({.from = 4, .to = 6})->size(), 3u);
}

TEST(Index, of_another_chain_begins_anew) {
  FaultyVfs vfs("index-test-2");
  Chain one, two;
  one.grow(9);
  two.grow(4, 'd');
  auto index = Index::open("state.db", "index-test-2");
  ASSERT_TRUE(index->follow(one.disk, kFolder).has_value());
  ASSERT_TRUE(index->follow(two.disk, kFolder).has_value());
  EXPECT_EQ(*index->find({}), two.lines());
}

TEST(Index, of_another_version_or_of_nonsense_is_made_again) {
  FaultyVfs vfs("index-test-3");
  Chain chain;
  chain.grow(4);
  const auto remade = [&] {
    auto index = Index::open("state.db", "index-test-3");
    EXPECT_TRUE(index.has_value()) << index.error().message;
    EXPECT_TRUE(index && index->made_anew());
    EXPECT_TRUE(index->follow(chain.disk, kFolder).has_value());
    EXPECT_EQ(*index->find({}), chain.lines());
  };
  ASSERT_TRUE(Index::open("state.db", "index-test-3")->follow(chain.disk, kFolder).has_value());
  std::string& bytes = *vfs.content("state.db");
  bytes[63] = 99;  // user_version, big-endian at 60
  remade();
  *vfs.content("state.db") = std::string(5000, 'x');
  remade();
}

// The power goes at every call of the file system; whatever is left of the index, it is sound, or
// made again, and after a look at the chain it is what the chain is.
TEST(Index, is_the_chain_again_whenever_the_power_goes) {
  std::uint64_t stops = 0, anew = 0;
  Chain chain, shorter;
  shorter.grow(6);
  chain.grow(6);
  chain.grow(6);
  const std::size_t records = chain.lines().size();
  for (std::uint64_t at = 1;; ++at) {
    bool stopped = false;
    for (std::uint64_t seed = 0; seed < 6; ++seed) {
      FaultyVfs vfs("index-test-4");
      vfs.stop_at = at;
      for (Chain* c : {&shorter, &chain}) {
        auto index = Index::open("state.db", "index-test-4");
        if (index) (void)index->follow(c->disk, kFolder);
      }
      stopped = vfs.dead;
      vfs.lose_power(Rng(seed).stream(at));
      auto index = Index::open("state.db", "index-test-4");
      ASSERT_TRUE(index.has_value()) << at << "/" << seed << ": " << index.error().message;
      anew += index->made_anew() ? 1u : 0u;
      ASSERT_LE(*index->last(), records);
      ASSERT_TRUE(index->follow(chain.disk, kFolder).has_value()) << at << "/" << seed;
      ASSERT_EQ(*index->find({}), chain.lines()) << at << "/" << seed;
    }
    if (!stopped) break;
    ++stops;
  }
  EXPECT_GT(stops, 30u);
  std::printf("%llu stops, %llu indexes made anew\n", static_cast<unsigned long long>(stops),
              static_cast<unsigned long long>(anew));
}

}  // namespace
}  // namespace arqon::store
